/** Text for a POSIX shell that stands for exactly one word. */

/**
 * Quoted in single quotes, in which nothing has a meaning in any of the shells; a quote itself stands between them in
 * double quotes, so that zsh's RC_QUOTES ('' for one quote) finds nothing to read differently. Must hold no NUL.
 */
export function quote(text: string): string {
  return `'${text.replaceAll(/'+/g, (quotes) => `'"${quotes}"'`)}'`;
}
