/** A question before something that cannot be taken back. */
import { createInterface } from "node:readline";
import { isatty } from "node:tty";
import { printable } from "./render/printable.ts";
import { stderr } from "./render/sink.ts";
import { UsageError } from "./usage-error.ts";

export interface Question {
  /** What would be done, e.g. `remove web1`. */
  readonly what: string;
  /** What follows from it, a sentence. */
  readonly consequence: string;
  /** True: it was answered on the command line. */
  readonly yes: boolean;
  /** The command, for errors. */
  readonly command: string;
}

/** @returns whether to do it. @throws UsageError where nobody can be asked */
export async function confirm({ what, consequence, yes, command }: Question): Promise<boolean> {
  if (yes) return true;
  if (!isatty(0) || !isatty(2)) {
    throw new UsageError(`to ${what}, say --yes: there is no terminal on which to ask`, command);
  }
  await stderr.write(`${printable(`${consequence} Go on and ${what}? [y/N]`)} `);
  // Not a terminal to readline: Ctrl-C then ends us, as it should.
  using lines = createInterface({ input: process.stdin, terminal: false });
  for await (const line of lines) return /^y(es)?$/i.test(line.trim());
  return false;
}
