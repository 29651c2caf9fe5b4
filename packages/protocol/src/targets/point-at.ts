/** A place in a text, for people: the text, and a caret below the place. */

/** So many columns of a long text are shown, so that it fits most terminals. */
const columns = 72;

/**
 *     web[1-3],db[
 *                ^
 *
 * @param position from 1; one behind the last character is its end
 * @returns two lines; of a long text what is around the place
 */
export function pointAt(text: string, position: number): string {
  // Whatever takes more or less than a column would move the caret away.
  const characters = Array.from(text, (character) => (/[\p{C}\p{Z}]/u.test(character) ? " " : character));
  const at = Array.from(text.slice(0, Math.max(position - 1, 0))).length;
  const start =
    characters.length <= columns ? 0 : Math.max(0, Math.min(at - columns / 2, characters.length - columns));
  const end = Math.min(characters.length, start + columns);
  const head = start > 0 ? "…" : "";
  const tail = end < characters.length ? "…" : "";
  const line = `${head}${characters.slice(start, end).join("")}${tail}`;
  return `${line}\n${" ".repeat(head.length + at - start)}^`;
}
