/** `outpost targets expand`. */
import { defineCommand, outputOption } from "../command.ts";
import { anyTargets, separatorOption, targetsOptions } from "../targets-options.ts";

export const targetsExpand = defineCommand({
  name: "targets expand",
  usage: ["targets expand EXPR...", "targets expand --all"],
  description:
    "Write target expressions out: the names of the hosts, each once, web9 before web10. Names and ranges are written out as " +
    "they are, whether such hosts exist or not; whatever needs hosts to be looked at (* ? labels, facts, not) asks the controller.",
  positionals: [anyTargets],
  options: { ...targetsOptions, ...separatorOption("one a line"), ...outputOption },
  examples: [
    ["outpost targets expand 'web[01-03]'", "web01, web02, web03"],
    ["outpost targets expand -S, 'web* and zone=eu'", "what the controller's hosts make of it, on one line"],
    ["outpost targets expand '@slurm:gpu!node7'", "a group without one of its hosts"],
  ],
  epilogue: "The language of targets: docs/targets.md",
  run: async ({ positionals, options }) => {
    const { namesOf, writeSeparated } = await import("../target-names.ts");
    const { print } = await import("../render/records.ts");
    const hosts = await namesOf(positionals, options.all);
    await print(options.output, {
      json: { hosts },
      records: hosts.map((host) => ({ host })),
      text: async () => {
        await writeSeparated(hosts, options.separator ?? "\n");
        return "";
      },
    });
    return 0;
  },
});
