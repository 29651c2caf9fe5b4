/** Patterns with `*` (any characters) and `?` (exactly one); every other character means itself. */

/** Takes at most pattern length × text length steps, unlike a regular expression made from the pattern. */
export function fits(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  let position = 0;
  while (position < text.length) {
    const expected = pattern[at];
    if (expected === "*") {
      star = at++;
      starAt = position;
    } else if (expected === "?" || expected === text[position]) {
      at++;
      position++;
    } else if (star >= 0) {
      // The last `*` takes one character more. Earlier ones need not be tried again: what follows them has matched.
      at = star + 1;
      position = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
