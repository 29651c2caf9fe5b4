/** Says what is wrong with a command line that could not be read, and what may have been meant. */
import type { Command } from "./command.ts";
import { commandLine } from "./help.ts";
import { suggest } from "./suggest.ts";
import { UsageError } from "./usage-error.ts";

/** @param reason what `parseArgs` said; used when yargs finds nothing to say */
export async function explain(
  command: Command,
  before: readonly string[],
  reason: unknown,
): Promise<UsageError> {
  const complaint = await yargsComplaint(command, before);
  const message = complaint ?? dashedValue(command, reason) ?? firstSentence(reason);
  return new UsageError(`${message}${hint(command, message)}`, command.name);
}

async function yargsComplaint(command: Command, before: readonly string[]): Promise<string | undefined> {
  let complaint: string | undefined;
  try {
    await commandLine(command, before)
      .strict()
      .fail((message: string | null, error: Error | undefined) => {
        complaint ??= message ?? error?.message;
      })
      .parseAsync();
  } catch (error) {
    complaint ??= error instanceof Error ? error.message : String(error);
  }
  return complaint
    ?.replaceAll(/\s*\n\s*/g, " ")
    .replace(/^Unknown argument: (-*)/, (_, dashes: string) =>
      dashes === "" ? "there is no option --" : `there is no option ${dashes}`,
    )
    .replace(/^Unknown arguments: /, "there are no options ")
    .replace(/^Not enough arguments following: (\w+)$/, (_, name: string) => `${dashed(name)} needs a value`);
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** `--batch -1`: the value looks like an option of its own. */
function dashedValue({ options }: Command, reason: unknown): string | undefined {
  const text = reason instanceof Error ? reason.message : "";
  const [, given] = /^Option '(?:-\w, )?-{1,2}([\w-]+)[^']*' argument is ambiguous/.exec(text) ?? [];
  if (given === undefined) return undefined;
  const name = Object.keys(options).find((each) => options[each]!.short === given) ?? given;
  return `a value that begins with - is written --${name}=VALUE`;
}

function firstSentence(reason: unknown): string {
  const text = reason instanceof Error ? reason.message : String(reason);
  return text.split(/[.\n]/)[0]!;
}

function hint(command: Command, message: string): string {
  const names = [...Object.keys(command.options), "help"];
  const words = /^there (?:is no option|are no options) (.*)$/.exec(message)?.[1]?.split(", ") ?? [];
  const meant = words.flatMap((word) => suggest(word.replace(/^-+/, ""), names) ?? []);
  if (meant.length > 0) return `. Did you mean ${[...new Set(meant)].map((name) => `--${name}`).join(", ")}?`;
  return "";
}
