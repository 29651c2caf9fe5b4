/** `outpost __complete`: asked by the completion scripts. */
import { defineCommand } from "../command.ts";

export const complete = defineCommand({
  name: "__complete",
  usage: ["__complete -- WORD…"],
  description:
    "Print what the last word could become, one per line. Says nothing when there is nothing, or on errors.",
  positionals: [],
  options: {},
  takesRest: true,
  examples: [["outpost __complete -- job re", ""]],
  run: async ({ rest = [] }) => {
    const { completions } = await import("../completions.ts");
    const { stdout } = await import("../render/sink.ts");
    const found = await completions(rest).catch(() => []);
    await stdout.write(
      found.map(({ word, about }) => `${word}${about === undefined ? "" : `\t${about}`}\n`).join(""),
    );
    return 0;
  },
});
