/** Versions as packages have them: `1.10.2`, `1.10.2-beta.1`. */

/** Below 0: the first is older. What is no version is neither older nor newer. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((text) => text.split("-", 1)[0]!.split(".").map(Number));
  if ([...a!, ...b!].some(Number.isNaN)) return 0;
  for (let at = 0; at < 3; at++) {
    const order = (a![at] ?? 0) - (b![at] ?? 0);
    if (order !== 0) return order;
  }
  const [isEarlyA, isEarlyB] = [one.includes("-"), other.includes("-")];
  return isEarlyA === isEarlyB ? 0 : isEarlyA ? -1 : 1;
}
