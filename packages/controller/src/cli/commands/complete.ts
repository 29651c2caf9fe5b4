/** `outpost __complete`: asked by the completion scripts. */
import { defineCommand } from "../command.ts";

/** What a shell takes as it is. Bash puts a completion on the line unquoted, and a label or the name of a job comes from somebody
 * else: `role=$(…)` would be run. */
const plain = /^[A-Za-z0-9_@%+=:,./-]*$/;

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
    const typed = rest.at(-1)?.length ?? 0;
    const typable = found.filter(({ word }) => plain.test(word.slice(typed)));
    await stdout.write(
      typable
        .map(({ word, about }) => `${word}${about === undefined ? "" : `\t${printable(about)}`}\n`)
        .join(""),
    );
    return 0;
  },
});
