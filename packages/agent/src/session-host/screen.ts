/**
 * The screen of a session: a terminal emulator that reads what the terminal wrote, and can say at any offset how a
 * terminal gets to show the same.
 *
 * Bytes are parsed a little later than they come. A snapshot takes its place in that queue, so it is exact: it shows
 * the screen as it is after the bytes before it, whatever comes meanwhile; so does a new size.
 *
 * A program may ask the terminal (what are you, where is the cursor) and waits for the answer on its input. That is for
 * the terminal of whoever controls the session to give. When nobody does, the emulator answers, so that vim, started
 * while nobody looks, does not hang. Which of the two is decided when the question comes, not when it is parsed.
 */
import headless from "@xterm/headless";
import { limits } from "@outpost/protocol";
import { knownState, stateSequences } from "./emulator-state.ts";
import { moveTo, paintScreen, paintScrollback } from "./painting.ts";
import { Unfinished } from "./unfinished.ts";

/** The screen at an offset. Written to a terminal of this size, `bytes` make it show the same. */
export interface Snapshot {
  readonly offset: number;
  readonly columns: number;
  readonly rows: number;
  /** At most `limits.maxRepaintBytes`. */
  readonly bytes: Uint8Array;
}

export interface ScreenOptions {
  readonly columns: number;
  readonly rows: number;
  /** How many lines above the screen are kept. */
  readonly scrollbackLines: number;
  /** An answer to a question that came while nobody controlled. `offset`: where the bytes begin that asked it. */
  readonly onAnswer: (answer: string, offset: number) => void;
}

/** What is being parsed. */
interface Piece {
  readonly offset: number;
  readonly answer: boolean;
}

const alternateBegin = "\x1b[?1049h\x1b[H";
/** A title may be anything; this much of it is shown anywhere. */
const maxTitleLength = 256;

export class Screen {
  readonly #terminal: InstanceType<typeof headless.Terminal>;
  readonly #scrollbackLines: number;
  readonly #unfinished = new Unfinished();
  readonly #pieces: Piece[] = [];
  #title = "";
  #backlogBytes = 0;
  #offset = 0;
  #columns: number;
  #rows: number;
  /** Called when the backlog has shrunk. */
  onParsed: () => void = () => {};

  constructor({ columns, rows, scrollbackLines, onAnswer }: ScreenOptions) {
    this.#columns = columns;
    this.#rows = rows;
    this.#scrollbackLines = scrollbackLines;
    this.#terminal = new headless.Terminal({
      cols: columns,
      rows,
      scrollback: scrollbackLines,
      allowProposedApi: true,
      logLevel: "off",
    });
    this.#terminal.onTitleChange((title) => {
      this.#title = title.replaceAll(/[\0-\x1f\x7f-\x9f]/g, "").slice(0, maxTitleLength);
    });
    this.#terminal.onData((answer) => {
      const piece = this.#pieces[0];
      if (piece?.answer === true) onAnswer(answer, piece.offset);
    });
  }

  get columns(): number {
    return this.#columns;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes that came and are not parsed yet. Whoever writes MUST keep it bounded, by not reading the terminal. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /**
   * @param atRest whether these bytes end between characters and escape sequences
   * @param answer whether the emulator answers what they ask
   */
  write(bytes: Uint8Array, atRest: boolean, answer: boolean): void {
    const { byteLength } = bytes;
    this.#unfinished.push(bytes, atRest);
    this.#pieces.push({ offset: this.#offset, answer });
    this.#offset += byteLength;
    this.#backlogBytes += byteLength;
    this.#terminal.write(bytes, () => {
      this.#pieces.shift();
      this.#backlogBytes -= byteLength;
      this.onParsed();
    });
  }

  resize(columns: number, rows: number): void {
    this.#columns = columns;
    this.#rows = rows;
    this.#then(() => this.#terminal.resize(columns, rows));
  }

  /** The screen after all that was written so far. @param scrollback whether the lines above it come, too, as far as they fit */
  snapshot(scrollback: boolean): Promise<Snapshot> {
    const offset = this.#offset;
    const unfinished = this.#unfinished.bytes;
    return new Promise((resolve) =>
      this.#then(() => {
        const { cols: columns, rows } = this.#terminal;
        const room = limits.maxRepaintBytes - unfinished.byteLength;
        const bytes = Buffer.concat([
          this.#repaint(scrollback ? this.#scrollbackLines : 0, room),
          unfinished,
        ]);
        resolve({ offset, columns, rows, bytes });
      }),
    );
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  /** Does something when all that was written so far is parsed, and nothing that comes later. */
  #then(action: () => void): void {
    this.#pieces.push({ offset: this.#offset, answer: false });
    this.#terminal.write("", () => {
      this.#pieces.shift();
      action();
    });
  }

  #repaint(scrollback: number, maxBytes: number): Buffer {
    const state = stateSequences(this.#terminal, this.#title);
    for (let lines = scrollback; ; lines = Math.floor(lines / 2)) {
      const bytes = Buffer.from(`${knownState}${this.#content(lines)}${state}`);
      if (bytes.byteLength <= maxBytes) return bytes;
      if (lines === 0) return Buffer.from(`${knownState}${this.#plain()}${state}`);
    }
  }

  #content(scrollback: number): string {
    const { rows } = this.#terminal;
    const { active, normal } = this.#terminal.buffer;
    const main = `${paintScrollback(normal, rows, scrollback)}${paintScreen(normal, rows)}`;
    if (active.type === "normal") return main;
    // Switching keeps the cursor of the normal screen for the way back.
    return `${main}${moveTo(normal.cursorY, normal.cursorX)}${alternateBegin}${paintScreen(active, rows)}`;
  }

  /** The screen without colours: 1000 × 500 cells of a colour each would be more than a repaint may hold. */
  #plain(): string {
    const { active } = this.#terminal.buffer;
    const lines = Array.from(
      { length: this.#terminal.rows },
      (_, y) => active.getLine(active.baseY + y)?.translateToString(true) ?? "",
    );
    const alternate = active.type === "alternate" ? alternateBegin : "";
    return `${alternate}${lines.join("\r\n")}`;
  }
}
