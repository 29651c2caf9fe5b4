/** Lists of names and patterns, from files and commands, as one expression. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { fold, parse } from "@outpost/protocol/targets";

/** A list that is longer is folded. Shorter ones stay as they are: agents before version 3 know no ranges. */
const maxPlainLength = 16 * 1024;

/** The lines that hold something, without comments (`#` at the beginning of a line or behind a blank). */
export function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/(?:^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** What white space or commas separate; commas between brackets do not. A bracket that is not closed goes on to the end: no
 * half of it may pass for a name. */
export function wordsOf(text: string): readonly string[] {
  return text.match(/(?:\[[^\]]*(?:\]|$)|[^\s,[])+/g) ?? [];
}

/** A union of these. @throws OutpostError `invalid_argument` naming the one that is neither a name nor a pattern */
export function asExpression(items: readonly string[]): string {
  const unique = [...new Set(items)];
  const patterns = unique.map(checked);
  const text = unique.join(",");
  if (text.length <= maxPlainLength) return text;
  const names = unique.filter((_, index) => patterns[index] === "name");
  const others = unique.filter((_, index) => patterns[index] !== "name");
  return [fold(names), ...others].filter((part) => part !== "").join(",");
}

function checked(item: string): "name" | "other" {
  if (/^[a-z0-9][a-z0-9._-]*$/.test(item)) return "name";
  try {
    if (parse(item).root.kind === "pattern") return "other";
  } catch (error) {
    if (!(error instanceof OutpostError)) throw error;
    throw notAName(item, error);
  }
  throw notAName(item, undefined);
}

function notAName(item: string, cause: OutpostError | undefined): OutpostError {
  const why = cause === undefined ? "" : ` (${cause.message})`;
  return new OutpostError(
    ErrorCode.invalidArgument,
    `${JSON.stringify(item.slice(0, 100))} is neither a host's name nor a pattern of names${why}`,
    cause === undefined ? {} : { cause },
  );
}
