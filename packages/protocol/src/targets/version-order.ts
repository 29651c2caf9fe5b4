/**
 * Versions in their order: 1.4 < 1.10, 1.4.0-rc.1 < 1.4.0, 6.1.0 < 6.1.0-18-amd64.
 *
 * A version is numbers and words; whatever is between them only separates. Part by part, from the left:
 *
 *     rc, beta, … < the version ends here < any other word < a number
 *
 * Zeros at the end of its numbers say nothing: 1.4, 1.4.0 and v1.4 are one version.
 */

/** Words for what comes before the version that they stand behind. */
const early: ReadonlySet<string> = new Set(
  "a alpha b beta c canary dev experimental m milestone next nightly pre preview rc snapshot test".split(" "),
);

/** What a part is, from the least to the greatest. */
const Rank = { early: 0, end: 1, word: 2, number: 3 } as const;

/** Less than 0: the left one comes first. A total order of what versions mean: equal are also 1.4 and 1.4.0. */
export function compareVersions(left: string, right: string): number {
  return compareVersionParts(versionParts(left), versionParts(right));
}

/** For a version that is compared with many. */
export function compareVersionParts(one: readonly string[], other: readonly string[]): number {
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = compareParts(one[at], other[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Its numbers and words, without what says nothing. */
export function versionParts(version: string): readonly string[] {
  const parts =
    version
      .toLowerCase()
      .replace(/^v(?=\d)/, "")
      .match(/\d+|[a-z]+/g) ?? [];
  const kept: string[] = [];
  for (const part of parts) {
    if (!isNumber(part)) dropZeros(kept);
    kept.push(part);
  }
  dropZeros(kept);
  return kept;
}

function dropZeros(parts: string[]): void {
  while (/^0+$/.test(parts.at(-1) ?? "")) parts.pop();
}

function compareParts(left: string | undefined, right: string | undefined): number {
  const [rank, otherRank] = [rankOf(left), rankOf(right)];
  if (rank !== otherRank) return rank - otherRank;
  if (left === undefined || right === undefined || left === right) return 0;
  if (rank === Rank.number) return compareDigits(left, right);
  return left < right ? -1 : 1;
}

function rankOf(part: string | undefined): number {
  if (part === undefined) return Rank.end;
  if (isNumber(part)) return Rank.number;
  return early.has(part) ? Rank.early : Rank.word;
}

function compareDigits(left: string, right: string): number {
  const [one, other] = [left.replace(/^0+/, ""), right.replace(/^0+/, "")];
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : one > other ? 1 : 0;
}

function isNumber(part: string): boolean {
  return /^\d/.test(part);
}
