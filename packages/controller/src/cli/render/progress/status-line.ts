/**
 * A line at the bottom of the terminal that says how things stand. On a terminal's stderr only. It is off the screen whenever
 * something else is written there (`Sink`), comes back when the cursor is at the beginning of a line, and is gone at the end.
 *
 *     waiting ──delay──▶ hidden ⇄ shown ──close──▶ closed
 *                          a write  ┘ (erased before it, drawn again behind it)
 */
import { writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { type Footer, setFooter, stderr, stdout } from "../sink.ts";

/** How often it is drawn at most, in milliseconds. */
const everyMs = 100;
/** How long to wait with it, in milliseconds: what is quicker needs none. */
const defaultDelayMs = 500;
/** What a terminal is taken for that does not say how wide it is, in columns. */
const defaultColumns = 80;

/** Saves cursor and colours; the colours that output has left on are not ours (DECSC, SGR 0). */
const begin = "\u001b7\u001b[0m";
/** Erases the rest of the line, and goes back to where it began (EL, DECRC). */
const end = "\u001b[K\u001b8";
/** From the beginning of the line to the end of the screen: a terminal that became narrower has broken the line (ED). */
const erase = "\r\u001b[J";

export interface StatusLineOptions {
  /** What it says, at most `columns` wide; it may hold colours. Empty: nothing is shown. */
  readonly text: (columns: number) => string;
  readonly delayMs?: number;
}

/** True where a status line can be: stderr is a terminal that can erase. */
function canShow(): boolean {
  return stderr.isTerminal && process.env["TERM"] !== "dumb";
}

export class StatusLine implements Footer {
  readonly #text: StatusLineOptions["text"];
  readonly #timer: NodeJS.Timeout;
  readonly #ready: Promise<unknown>;
  readonly #beginsAt: number;
  #shown = "";
  #drawnAt = Number.NEGATIVE_INFINITY;
  #atLineStart: boolean;
  /** Everything that goes to the terminal, one after another. */
  #tail: Promise<unknown>;
  #isClosed = false;

  /** Begins to show it, where it can be shown; undefined elsewhere. */
  static begin(options: StatusLineOptions): StatusLine | undefined {
    return canShow() ? new StatusLine(options) : undefined;
  }

  private constructor({ text, delayMs = defaultDelayMs }: StatusLineOptions) {
    this.#text = text;
    this.#beginsAt = performance.now() + delayMs;
    this.#atLineStart = stderr.endsLine && (stdout.endsLine || !stdout.isTerminal);
    // What was written before has not come through us.
    this.#ready = Promise.allSettled([stdout.write(""), stderr.write("")]);
    this.#tail = this.#ready;
    setFooter(this);
    this.#timer = setInterval(() => void this.#enqueue(() => this.#draw()).catch(() => {}), everyMs);
    // It alone keeps nobody waiting.
    this.#timer.unref();
    process.once("exit", this.#onExit);
    process.once("SIGTERM", this.#onTerminate);
  }

  around(write: () => Promise<void>, endsLine: boolean): Promise<void> {
    return this.#enqueue(async () => {
      await this.#erase();
      try {
        await write();
      } finally {
        this.#atLineStart = endsLine;
      }
      if (performance.now() - this.#drawnAt >= everyMs) await this.#draw();
    });
  }

  hide(): Promise<void> {
    return this.#enqueue(() => this.#erase());
  }

  /** Takes it away for good. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    process.off("exit", this.#onExit);
    process.off("SIGTERM", this.#onTerminate);
    await this.hide().catch(() => {});
    setFooter(undefined);
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(task);
    this.#tail = done.catch(() => {});
    return done;
  }

  async #erase(): Promise<void> {
    if (this.#shown === "") return;
    this.#shown = "";
    await stderr.writeBelow(erase);
  }

  async #draw(): Promise<void> {
    if (this.#isClosed || !this.#atLineStart || performance.now() < this.#beginsAt) return;
    // One column stays free: a line that fills the last one is a broken line to some terminals.
    const text = this.#text(columns() - 1);
    if (text === this.#shown) return;
    if (text === "") return this.#erase();
    this.#drawnAt = performance.now();
    // A longer text may have been broken by a terminal that is narrower now.
    const before = this.#shown === "" ? "" : erase;
    this.#shown = text;
    await stderr.writeBelow(`${before}${begin}${text}${end}`);
  }

  /** As without us, but for what would stay on the screen. */
  readonly #onTerminate = (signal: NodeJS.Signals): void => {
    void Promise.race([this.close(), setTimeout(partingMs)]).then(() => process.kill(process.pid, signal));
  };

  /** Somebody ends the process without having closed it. */
  readonly #onExit = (): void => {
    if (this.#shown === "") return;
    try {
      writeSync(2, erase);
    } catch {
      // Nobody sees it then.
    }
  };
}

/** How long it may take to go when the process is to end, in milliseconds: a terminal that is stopped never lets it. */
const partingMs = 100;

/** Asked each time: terminals change. Only of a terminal: for a pipe it would change the pipe. */
function columns(): number {
  const { columns: wide } = process.stderr;
  return wide > 0 ? wide : defaultColumns;
}
