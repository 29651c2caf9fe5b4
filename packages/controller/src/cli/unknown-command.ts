/** Words that are no command. */
import { suggest } from "./suggest.ts";
import { UsageError } from "./usage-error.ts";

/** @param words the words that can follow a group; those that can come first for "" */
export function unknownCommand(
  args: readonly string[],
  words: (group: string) => readonly string[],
): UsageError {
  const [first = "", second] = args;
  const possible = words(first);
  if (first === "" || possible.length === 0) return unknown("", first, words(""));
  if (second === undefined)
    return new UsageError(`what to do with ${first}? One of: ${possible.join(", ")}`, first);
  return unknown(first, second, possible);
}

function unknown(group: string, word: string, possible: readonly string[]): UsageError {
  const path = group === "" ? "" : `${group} `;
  if (word.startsWith("-")) {
    return new UsageError(`options come behind the command; one of: ${possible.join(", ")}`, group);
  }
  const meant = suggest(word, possible);
  const hint =
    meant === undefined ? ` One of: ${possible.join(", ")}` : ` Did you mean: outpost ${path}${meant}`;
  return new UsageError(
    `there is no command outpost ${path}${word}.${hint}`,
    group === "" ? undefined : group,
  );
}
