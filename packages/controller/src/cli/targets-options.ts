/** What the commands about target expressions have in common. */
import { flag, type Option, type Positional, value } from "./command.ts";

export const anyTargets: Positional = {
  name: "EXPR",
  describe: "target expressions, united; - reads more of them from standard input, one a line",
  several: true,
  unless: ["all"],
  complete: "targets",
};

export const targetsOptions = { all: flag("All hosts of the controller") };

/** @param defaultText what separates them otherwise, in words */
export function separatorOption(defaultText: string): { readonly separator: Option<string | undefined> } {
  return {
    separator: value("What to write between them; \\n, \\t and \\0 are newline, tab and zero", {
      short: "S",
      argument: "TEXT",
      defaultText,
      parse: (text: string) =>
        text.replaceAll(/\\([nt0\\])/g, (_, character: string) => characters[character]!),
    }),
  };
}

const characters: Readonly<Record<string, string>> = { n: "\n", t: "\t", "0": "\0", "\\": "\\" };
