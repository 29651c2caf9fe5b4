/** Patterns with `*` (any characters) and `?` (exactly one); every other character means itself. */

export function fits(pattern: string, text: string): boolean {
  return fitsSteps(pattern, text, "*", isOne);
}

function isOne(expected: string, character: string): boolean {
  return expected === "?" || expected === character;
}

/**
 * As `fits`, for patterns of whatever steps. Takes at most pattern length × text length of them, unlike a regular expression made
 * from the pattern.
 * @param any the step that takes any characters; each other one takes exactly one @param takes whether it takes this one
 */
export function fitsSteps<Step>(
  pattern: ArrayLike<Step>,
  text: ArrayLike<string>,
  any: Step,
  takes: (step: Step, character: string) => boolean,
): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  let position = 0;
  while (position < text.length) {
    if (at < pattern.length && pattern[at] === any) {
      star = at++;
      starAt = position;
    } else if (at < pattern.length && takes(pattern[at]!, text[position]!)) {
      at++;
      position++;
    } else if (star >= 0) {
      // The last one takes one character more. Earlier ones need not be tried again: what follows them has matched.
      at = star + 1;
      position = ++starAt;
    } else {
      return false;
    }
  }
  while (at < pattern.length && pattern[at] === any) at++;
  return at === pattern.length;
}
