/** What a mistyped word may have meant. */

const maxEdits = 2;

/** The nearest candidate within two edits (a swap of neighbours is one), or `undefined`. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  return nearest(word, candidates, 1)[0];
}

/** The candidates with the fewest edits, two at most; `limit` of them. */
export function nearest(word: string, candidates: readonly string[], limit: number): readonly string[] {
  const found = candidates
    .filter((candidate) => Math.abs(candidate.length - word.length) <= maxEdits)
    .map((candidate) => ({ candidate, edits: editsBetween(word, candidate) }))
    .filter(({ candidate, edits }) => edits <= maxEdits && edits < candidate.length);
  const fewest = Math.min(...found.map(({ edits }) => edits));
  return found
    .filter(({ edits }) => edits === fewest)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** Optimal string alignment distance (Damerau 1964, restricted). */
function editsBetween(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + changed);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, rows[i - 2]![j - 2]! + 1);
      rows[i]![j] = edits;
    }
  }
  return rows[a.length]![b.length]!;
}
