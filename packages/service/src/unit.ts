/** The text of systemd units: sections of directives, each with the reason for it. */

/** A directive, or several of one name (systemd adds them up). */
export interface Directive {
  readonly name: string;
  readonly value: string;
  /** Why it is set, or set so. Written above it. */
  readonly why?: string;
}

export interface UnitSection {
  readonly name: string;
  readonly directives: readonly Directive[];
}

/** How wide comments are. */
const commentColumns = 118;

/** @param about stands on top, a comment */
export function unitText(about: string, sections: readonly UnitSection[]): string {
  const blocks = sections.map(
    ({ name, directives }) => `[${name}]\n${directives.map((each) => directiveText(each)).join("")}`,
  );
  return `${comment(about)}\n${blocks.join("\n")}`;
}

function directiveText({ name, value, why }: Directive): string {
  return `${why === undefined ? "" : comment(why)}${name}=${value}\n`;
}

function comment(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > commentColumns) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join("\n")}\n`;
}

/** A command line for `ExecStart=`: words as they are, whatever they hold. See systemd.service(5), "Command lines". */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => quoteWord(word)).join(" ");
}

function quoteWord(word: string): string {
  // `%` begins specifiers and `$` variables, in quotes, too.
  const escaped = escapeSpecifiers(word).replaceAll("$", "$$$$");
  if (/^[\w./:@%$=,+-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** A value in which systemd would take `%` for the beginning of a specifier. */
export function escapeSpecifiers(text: string): string {
  return text.replaceAll("%", "%%");
}

/**
 * The value of a directive in the text of a unit; the first, when there are several. Only what we have written ourselves
 * is read so: no continued lines.
 */
export function directiveIn(text: string, name: string): string | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${name}=`));
  return line?.slice(name.length + 1);
}
