/** One host's answer as a row shows it: its first line, or the records of a JSON answer; and whether there is more. */

/** What is kept of an answer that may be JSON, and of one that is not, in bytes. */
const maxJsonBytes = 64 * 1024;
const maxLineBytes = 4 * 1024;
/** An answer with more records than this is no table's. */
const maxRecords = 1_000;

export type JsonRecord = Readonly<Record<string, unknown>>;

const newline = 10;
const blanks: ReadonlySet<number> = new Set([9, 10, 13, 32]);
const openers: ReadonlySet<number> = new Set([0x5b, 0x7b]);

const colors = /\u001b\[[\d;]*m/g;

export class Answer {
  readonly #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  #bytes = 0;
  #newlines = 0;
  #endsLine = true;
  /** The first byte that is not blank begins an array or an object. */
  #mayBeJson: boolean | undefined;
  #records: readonly JsonRecord[] | undefined;
  #areRead = false;

  push(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.#bytes += bytes.byteLength;
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) this.#newlines++;
    this.#endsLine = bytes.at(-1) === newline;
    const first = this.#mayBeJson === undefined ? bytes.find((byte) => !blanks.has(byte)) : undefined;
    if (first !== undefined) this.#mayBeJson = openers.has(first);
    const max = this.#mayBeJson === false ? maxLineBytes : maxJsonBytes;
    const room = Math.max(0, max - this.#heldBytes);
    if (room === 0) return;
    // A copy: the chunk that it came in may be much larger, and would be held with it.
    const piece = Uint8Array.from(bytes.subarray(0, room));
    this.#pieces.push(piece);
    this.#heldBytes += piece.byteLength;
  }

  /** More was said than `line` shows. */
  get isCut(): boolean {
    return this.#lines > 1 || this.#bytes > this.#heldBytes;
  }

  /** The first line; and how many more there are. */
  get line(): string {
    const text = this.#plainText;
    const end = text.search(/\r?\n/);
    const first = end === -1 ? text : text.slice(0, end);
    const isWhole = end !== -1 || this.#bytes === this.#heldBytes;
    const more =
      this.#lines > 1 ? ` (+${String(this.#lines - 1)} ${this.#lines === 2 ? "line" : "lines"})` : "";
    return more === "" && isWhole ? first : `${first}…${more}`;
  }

  /** A JSON object, an array of them, or one on each line; undefined when it is anything else. */
  get records(): readonly JsonRecord[] | undefined {
    if (!this.#areRead) this.#records = this.#mayBeJson === true ? this.#readRecords() : undefined;
    this.#areRead = true;
    return this.#records;
  }

  get #lines(): number {
    return this.#newlines + (this.#endsLine ? 0 : 1);
  }

  get #text(): string {
    return Buffer.concat(this.#pieces).toString();
  }

  /** Colours and tabs have no place in a row. */
  get #plainText(): string {
    return this.#text.replaceAll(colors, "").replaceAll("\t", "  ");
  }

  #readRecords(): readonly JsonRecord[] | undefined {
    if (this.#bytes > this.#heldBytes) return undefined;
    const text = this.#text;
    const whole = parsed(text);
    const values =
      whole === undefined ? text.trim().split("\n").map(parsed) : Array.isArray(whole) ? whole : [whole];
    return values.length <= maxRecords && values.every(isRecord) ? values : undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
