/** The order in which hosts are shown everywhere: `web9` before `web10`. */

/**
 * Numbers in the names count as numbers, everything else by character. A total order: of names that differ only in how
 * their numbers are padded, the shorter comes first.
 */
export function compareNames(left: string, right: string): number {
  let at = 0;
  let to = 0;
  while (at < left.length && to < right.length) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(to);
    if (isDigit(a) && isDigit(b)) {
      const leftEnd = digitsEnd(left, at);
      const rightEnd = digitsEnd(right, to);
      const order = compareDigits(left, at, leftEnd, right, to, rightEnd);
      if (order !== 0) return order;
      at = leftEnd;
      to = rightEnd;
    } else if (a !== b) {
      return a - b;
    } else {
      at++;
      to++;
    }
  }
  if (at < left.length) return 1;
  if (to < right.length) return -1;
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** By number, however long: fewer digits behind the leading zeros are less. */
function compareDigits(
  left: string,
  leftStart: number,
  leftEnd: number,
  right: string,
  rightStart: number,
  rightEnd: number,
): number {
  let at = leftStart;
  let to = rightStart;
  while (at < leftEnd - 1 && left.charCodeAt(at) === zero) at++;
  while (to < rightEnd - 1 && right.charCodeAt(to) === zero) to++;
  if (leftEnd - at !== rightEnd - to) return leftEnd - at - (rightEnd - to);
  for (; at < leftEnd; at++, to++) {
    const difference = left.charCodeAt(at) - right.charCodeAt(to);
    if (difference !== 0) return difference;
  }
  return 0;
}

const zero = 48;

function isDigit(code: number): boolean {
  return code >= zero && code <= 57;
}

function digitsEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  return end;
}
