/** Counts of bytes that hosts have told, together. */

/** Each is a number that a double holds exactly, and a host may say any: what is more than such a number can neither be sent
 * nor read back from the catalogue, and all of it is "very much". */
export function sumOfBytes(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum = Math.min(sum + count, Number.MAX_SAFE_INTEGER);
  return sum;
}
