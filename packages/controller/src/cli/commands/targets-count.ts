/** `outpost targets count`. */
import { defineCommand, outputOption } from "../command.ts";
import { anyTargets, targetsOptions } from "../targets-options.ts";

export const targetsCount = defineCommand({
  name: "targets count",
  usage: ["targets count EXPR...", "targets count --all"],
  description: "Say how many hosts target expressions mean, each counted once.",
  positionals: [anyTargets],
  options: { ...targetsOptions, ...outputOption },
  examples: [
    ["outpost targets count 'web[001-100]!web007'", "99"],
    ["outpost targets count 'os=debian and mem>=8GiB'", ""],
  ],
  epilogue: "The language of targets: docs/targets.md",
  run: async ({ positionals, options }) => {
    const { namesOf } = await import("../target-names.ts");
    const { print } = await import("../render/records.ts");
    const { length: count } = await namesOf(positionals, options.all);
    await print(options.output, { json: { count }, text: () => String(count) });
    return 0;
  },
});
