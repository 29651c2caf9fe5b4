/** Many names in few words: `web[01-17,19],db1`. */
import { printable } from "./printable.ts";

/** Longer lists are cut, in characters: about three lines of a terminal. */
const maxLength = 200;

/** Folded; what is too long is cut at a name and counted: `web1a,web1b and 120 more`. */
export async function foldedNames(names: readonly string[], length: number = maxLength): Promise<string> {
  if (names.length === 1) return printable(names[0]!);
  const clean = names.map(printable);
  // Loaded late: most commands have one name to show, or none.
  const { compareNames, fold } = await import("@outpost/protocol/targets");
  const whole = fold(clean);
  if (whole.length <= length) return whole;
  const sorted = clean.toSorted(compareNames);
  const cut = (count: number): string => {
    return `${fold(sorted.slice(0, count))} and ${String(sorted.length - count)} more`;
  };
  let fits = 1;
  let tooMany = sorted.length;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (cut(middle).length <= length) fits = middle;
    else tooMany = middle;
  }
  return cut(fits);
}

/** All of them, folded, however many. */
export async function allNames(names: readonly string[]): Promise<string> {
  return foldedNames(names, Number.POSITIVE_INFINITY);
}
