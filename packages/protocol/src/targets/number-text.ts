/** Numbers in names, as they are written: 1 and 01 are different ones. */

/** So many digits are exact as a JavaScript number. */
export const exactDigits = 15;

export function isPadded(number: string): boolean {
  return number.length > 1 && number.startsWith("0");
}

/** Shorter ones first, then by value: as these are of one length, that is by character. */
export function compareNumbers(left: string, right: string): number {
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
