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
    const { printable } = await import("../render/printable.ts");
    const found = await completions(rest).catch(() => []);
    // What cannot be typed is no word.
    const typable = found.filter(({ word }) => printable(word) === word);
    await stdout.write(
      typable
        .map(({ word, about }) => `${word}${about === undefined ? "" : `\t${printable(about)}`}\n`)
        .join(""),
    );
    return 0;
  },
});
