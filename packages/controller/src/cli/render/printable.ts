/**
 * Texts of others on our terminal. Names, labels, commands and messages come from hosts, operators and files; none of them may
 * move the cursor, change colours or titles, or pass for a line of ours. A job's own output is never touched.
 */

/** DEL and the C1 controls (ECMA-48), the separators that some take for line ends, and what turns the direction of text around
 * (Unicode's bidirectional controls): `web1` must not be able to look like another host. */
const beyondC0 = String.raw`\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069`;
const unprintable = new RegExp(String.raw`[\u0000-\u001f${beyondC0}]`, "g");
const unprintableButNewline = new RegExp(String.raw`[\u0000-\u0009\u000b-\u001f${beyondC0}]`, "g");

/** Stands for a character that is not shown. */
const replacement = "�";

/** On one line: a text that somebody else has written, within one of ours. */
export function printable(text: string): string {
  return text.replaceAll(unprintable, replacement);
}

/** Lines that we have laid out, or a document of several. Tabs become blanks. */
export function printableLines(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll("\t", "  ").replaceAll(unprintableButNewline, replacement);
}

/** A message that may have several lines, behind a heading of ours: the later ones are indented, so that none of them looks
 * as if it had a heading of its own. */
export function printableMessage(text: string): string {
  return printableLines(text.trimEnd()).replaceAll("\n", "\n  ");
}

/** In JSON, whose strings hold no C0 controls already. */
export function escapeUnprintable(json: string): string {
  return json.replaceAll(
    new RegExp(`[${beyondC0}]`, "g"),
    (character) => String.raw`\u` + character.codePointAt(0)!.toString(16).padStart(4, "0"),
  );
}
