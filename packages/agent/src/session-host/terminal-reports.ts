/**
 * Answers that a terminal gives by itself when a program asks (what are you, where is the cursor), and which of them are
 * one too many: what was asked while nobody controlled the session, the emulator has answered. A viewer that was cut
 * meanwhile gets the question with what it has missed, and its terminal answers again; the shell would take that for
 * something typed.
 */

/** DA, DSR and CPR, DECRPM, then the strings: DECRQSS, XTVERSION, colours. */
const report =
  /^(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cnR])|\x1bP[^\x1b]*\x1b\\|\x1b\]\d+;[^\x07\x1b]*(?:\x07|\x1b\\))/;

/** How many answers are remembered. A program asks a handful when it starts. */
const maxRemembered = 256;

/** Where in the output the questions were that the emulator has answered. */
export class EmulatorAnswers {
  readonly #offsets: number[] = [];

  /** @param offset of the bytes that asked */
  given(offset: number): void {
    this.#offsets.push(offset);
    if (this.#offsets.length > maxRemembered) this.#offsets.shift();
  }

  /** How many of them a viewer will see asked that begins at `from`. */
  after(from: number): number {
    return this.#offsets.filter((offset) => offset >= from).length;
  }
}

/** Removes up to `most` reports from the beginning of what a terminal sent. */
export function withoutReports(bytes: Uint8Array, most: number): { bytes: Uint8Array; removed: number } {
  if (most === 0 || bytes[0] !== 0x1b) return { bytes, removed: 0 };
  let text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  let removed = 0;
  for (let found = report.exec(text); found !== null && removed < most; found = report.exec(text)) {
    text = text.slice(found[0].length);
    removed++;
  }
  return { bytes: Buffer.from(text, "latin1"), removed };
}
