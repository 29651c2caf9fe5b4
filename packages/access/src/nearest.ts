/** Which of the words that are known somebody may have meant. */

/** The nearest of `words`, or `undefined` when none is near: at most a third of it mistyped. */
export function nearest(text: string, words: Iterable<string>): string | undefined {
  let found: { word: string; distance: number } | undefined;
  for (const word of words) {
    const distance = editDistance(text.toLowerCase(), word.toLowerCase());
    if (distance > Math.max(1, Math.floor(word.length / 3))) continue;
    if (found === undefined || distance < found.distance) found = { word, distance };
  }
  return found?.word;
}

/** How many characters must be put in, taken out or changed (Levenshtein), with one row of the table at a time. */
function editDistance(left: string, right: string): number {
  // Whatever is longer than every word that we know is near to none of them.
  if (Math.abs(left.length - right.length) > 32) return Infinity;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let at = 0; at < left.length; at++) {
    const next = [at + 1];
    for (let to = 0; to < right.length; to++) {
      const changed = row[to]! + (left[at] === right[to] ? 0 : 1);
      next.push(Math.min(changed, row[to + 1]! + 1, next[to]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}
