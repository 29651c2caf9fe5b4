/** `outpost targets fold`. */
import { defineCommand, outputOption } from "../command.ts";
import { anyTargets, separatorOption, targetsOptions } from "../targets-options.ts";

export const targetsFold = defineCommand({
  name: "targets fold",
  usage: ["targets fold EXPR...", "targets fold - < FILE", "targets fold --all"],
  description: "Write the hosts of target expressions as shortly as possible, as ranges: web[01-17,19],db1.",
  positionals: [anyTargets],
  options: { ...targetsOptions, ...separatorOption("a comma"), ...outputOption },
  examples: [
    ["outpost targets fold web1 web2 web3 db1", "db1,web[1-3]"],
    [
      "outpost host list --output json | jq -r '.hosts[].name' | outpost targets fold -",
      "names from elsewhere",
    ],
    ["outpost targets fold 'role=web!web7'", "asks the controller which hosts have the label"],
  ],
  epilogue: "The language of targets: docs/targets.md",
  run: async ({ positionals, options }) => {
    const { namesOf, writeSeparated } = await import("../target-names.ts");
    const { fold } = await import("@outpost/protocol/targets");
    const { print } = await import("../render/records.ts");
    const hosts = await namesOf(positionals, options.all);
    const folded = fold(hosts);
    await print(options.output, {
      json: { folded, count: hosts.length },
      text: async () => {
        await writeSeparated(partsOf(folded), options.separator ?? ",");
        return "";
      },
    });
    return 0;
  },
});

/** Between the commas that are not in brackets. */
function partsOf(folded: string): readonly string[] {
  return folded.match(/(?:\[[^\]]*\]|[^,[])+/g) ?? [];
}
