/**
 * A picture on the terminal that is drawn again and again, in place: `--watch`. On the alternate screen, so that the
 * shell's own lines are there again afterwards; the last picture stays below them.
 *
 *     drawing ──▶ waiting ──interval, resize, key──▶ drawing        q, Ctrl-C, `isOver`, `signal` ──▶ left
 *        └─no answer─▶ the picture before stays, and its last line says since when
 */
import { isatty } from "node:tty";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { isPassing } from "../../client/connection.ts";
import { durationText } from "../duration.ts";
import { printable } from "../render/printable.ts";
import type { Terminal } from "./terminal.ts";

export interface WatchOptions {
  /** How long a picture stays, in milliseconds. */
  readonly intervalMs: number;
  /** The picture: lines for a window of that size, the last of them a status line (`fitHeight` makes them fit). Texts of
   * others in it must be printable. What it throws ends the watch, but for a controller that cannot be reached now. */
  readonly render: (columns: number, rows: number) => Promise<string>;
  /** Asked when a picture is drawn: true makes it the last. */
  readonly isOver?: () => boolean;
  /** Ends it as if somebody had left. */
  readonly signal?: AbortSignal;
  /** Default the terminal of this process. */
  readonly terminal?: Terminal;
}

/** Whether nothing more was to come, or somebody has left before. */
export type WatchEnd = "over" | "left";

/**
 * Shows it until somebody leaves. Resolves with the terminal given back and the last picture on it.
 * @throws what `render` throws; `invalid_argument` where there is no terminal
 */
export async function watch({ terminal, ...options }: WatchOptions): Promise<WatchEnd> {
  if (terminal !== undefined) return new Watch(terminal, options).run();
  checkWatchTerminal();
  const { LocalTerminal } = await import("./local-terminal.ts");
  using local = new LocalTerminal();
  return await new Watch(local, options).run();
}

/** Before anything is asked of the controller. @throws OutpostError `invalid_argument` saying what to use instead */
export function checkWatchTerminal(): void {
  const missing = !isatty(1) ? "standard output" : !isatty(0) ? "standard input" : undefined;
  if (missing === undefined) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--watch needs a terminal, and ${missing} is none; with --output ndjson it prints a line for each change`,
  );
}

/** As many of the lines as fit above the last one, and how many more there are. The first line is the heading. */
export function fitHeight(lines: readonly string[], last: string, rows: number): string {
  if (lines.length + 1 <= rows) return [...lines, last].join("\n");
  const shown = Math.max(0, rows - 2);
  const more = `… and ${String(lines.length - shown)} more`;
  return [...lines.slice(0, shown), ...(rows > 1 ? [more] : []), last].join("\n");
}

/** How long an answer may take until the screen says so, in milliseconds: longer than any that is only slow. */
const patienceMs = 3_000;

/** What of a line a window of so many columns shows. Colours take no room. */
export function clip(line: string, columns: number): string {
  let room = columns;
  let shown = "";
  for (const [piece] of line.matchAll(/\u001b\[[0-9;:]*m|[^]/gu)) {
    const width = piece.startsWith("\u001b") ? 0 : wide.test(piece) ? 2 : 1;
    if (width > room) break;
    room -= width;
    shown += piece;
  }
  return shown;
}

/** As it was drawn; colours that were cut off with the rest end. */
function fitted(line: string, columns: number): string {
  const shown = clip(line, columns);
  return shown === line ? line : `${shown}\u001b[0m`;
}

/** Characters that take two columns, as far as anybody puts them into names and messages. */
const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\uff01-\uff60]/u;

// Alternate screen, no cursor, no wrapping: what is wider than it looks must not move the lines below it.
const begin = "\u001b[?1049h\u001b[?25l\u001b[?7l";
// Synchronised output, from the top left corner.
const frameStart = "\u001b[?2026h\u001b[H";
const frameEnd = "\u001b[?2026l";
// Before a line, and not behind it: one as wide as the window leaves the cursor on its last character.
const clearLine = "\u001b[2K";
const clearBelow = "\u001b[J";

const keys = { interrupt: 0x03, endOfInput: 0x04, redraw: 0x0c, suspend: 0x1a, quit: 0x71 } as const;

class Watch {
  readonly #terminal: Terminal;
  readonly #options: Omit<WatchOptions, "terminal">;
  readonly #left = Promise.withResolvers<void>();
  #end: WatchEnd | undefined;
  #killedBy: NodeJS.Signals | undefined;
  #picture = "";
  /** When that was drawn. */
  #drawnAt = Date.now();
  /** True: the next picture is wanted now. */
  #isDue = false;
  #wake = (): void => {};

  constructor(terminal: Terminal, options: Omit<WatchOptions, "terminal">) {
    this.#terminal = terminal;
    this.#options = options;
  }

  async run(): Promise<WatchEnd> {
    const { signal } = this.#options;
    const leave = (): void => this.#leave();
    signal?.addEventListener("abort", leave);
    if (signal?.aborted === true) this.#leave();
    const taken = this.#terminal.takeOver({
      typed: (bytes) => this.#typed(bytes),
      resized: () => this.#again(),
      resumed: () => void this.#terminal.write(begin).then(() => this.#again(), leave),
      hungUp: (killedBy) => this.#leave(killedBy === "SIGINT" ? undefined : killedBy),
    });
    try {
      await this.#terminal.write(begin);
      await this.#untilLeft();
    } finally {
      signal?.removeEventListener("abort", leave);
      taken[Symbol.dispose]();
    }
    // As a program that knows nothing of signals would.
    if (this.#killedBy !== undefined) process.kill(process.pid, this.#killedBy);
    else if (this.#picture !== "") {
      const { columns } = this.#terminal.size;
      const lines = this.#picture.split("\n").map((line) => fitted(line, columns));
      await this.#terminal.write(`${lines.join("\n")}\n`);
    }
    return this.#end ?? "left";
  }

  async #untilLeft(): Promise<void> {
    while (!this.#hasLeft()) {
      await this.#refresh();
      if (this.#hasLeft()) return;
      if (this.#options.isOver?.() === true) {
        this.#end = "over";
        return;
      }
      await this.#pause();
    }
  }

  /** Asks for a picture and draws it. One that does not come is waited for, and said to be missing. */
  async #refresh(): Promise<void> {
    const { columns, rows } = this.#terminal.size;
    const complain = setInterval(() => {
      void this.#draw(`no answer for ${durationText(Date.now() - this.#drawnAt)}`).catch(() => {});
    }, patienceMs);
    try {
      const picture = await Promise.race([this.#options.render(columns, rows), this.#left.promise]);
      if (picture === undefined) return;
      this.#picture = picture;
      this.#drawnAt = Date.now();
      await this.#draw();
    } catch (error) {
      const problem = OutpostError.from(error);
      if (!isPassing(problem)) throw error;
      await this.#draw(problem.message);
    } finally {
      clearInterval(complain);
    }
  }

  /** @param trouble stands where the last line is */
  async #draw(trouble?: string): Promise<void> {
    const { columns, rows } = this.#terminal.size;
    const lines = this.#picture.split("\n");
    const last = trouble === undefined ? lines.at(-1)! : printable(trouble);
    const shown = [...lines.slice(0, Math.min(lines.length, Math.max(1, rows)) - 1), last];
    const text = shown
      .map((line, index) => {
        const clear = index === shown.length - 1 ? clearBelow : clearLine;
        return `${clear}${clip(line, columns)}\u001b[0m`;
      })
      .join("\r\n");
    await this.#terminal.write(`${frameStart}${text}${frameEnd}`);
  }

  /** Resolves when the next picture is due. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#isDue) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, this.#options.intervalMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
    this.#isDue = false;
  }

  #again(): void {
    this.#isDue = true;
    this.#wake();
    // What is there fits another window badly until the new picture comes.
    if (this.#picture !== "") void this.#draw().catch(() => this.#leave());
  }

  #typed(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      if (byte === keys.quit || byte === keys.interrupt || byte === keys.endOfInput) this.#leave();
      else if (byte === keys.suspend) this.#terminal.suspend();
      else if (byte === keys.redraw || byte === 0x20 || byte === 0x0d) this.#again();
    }
    return Promise.resolve();
  }

  #leave(killedBy?: NodeJS.Signals): void {
    this.#end ??= "left";
    this.#killedBy ??= killedBy;
    this.#left.resolve();
    this.#wake();
  }

  /** Read anew: it changes while something is awaited. */
  #hasLeft(): boolean {
    return this.#end !== undefined;
  }
}
