/** Work on many things that nobody waits for, in slices, so that whatever comes meanwhile has its turn. */

/** So many take about a millisecond. */
const sliceItems = 32;

/** Begins with the next turn. @param work MUST NOT throw */
export function inTurns<T>(items: readonly T[], work: (item: T) => void): void {
  if (items.length === 0) return;
  setImmediate(() => {
    for (const item of items.slice(0, sliceItems)) work(item);
    inTurns(items.slice(sliceItems), work);
  });
}
