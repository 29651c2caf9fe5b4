/**
 * Writes to stdout and stderr: the bytes as they came, in order, and no faster than the reader takes them. Goes around
 * `process.stdout`, which would make pipes non-blocking for whoever shares them, and copy. A status line on the terminal (the
 * footer) is out of the way of whatever is written there.
 */
import { fstatSync, write } from "node:fs";
import { isatty } from "node:tty";
import { printableMessage } from "./printable.ts";

/** How soon to try again when a non-blocking reader is full, in milliseconds; doubled up to the maximum. */
const minRetryMs = 1;
const maxRetryMs = 32;

/** Something of ours below what is written to the terminal. */
export interface Footer {
  /** Writes, without the footer in the way. @param endsLine whether what is written ends in a newline */
  around(write: () => Promise<void>, endsLine: boolean): Promise<void>;
  /** Takes it off the screen, until the next write. */
  hide(): Promise<void>;
}

let footer: Footer | undefined;

/** At most one at a time; undefined: none any more. */
export function setFooter(next: Footer | undefined): void {
  footer = next;
}

/** For whoever is about to die: nothing of ours stays on the screen. */
export async function hideFooter(): Promise<void> {
  await footer?.hide().catch(() => {});
}

export class Sink {
  readonly #fd: number;
  #endsLine = true;
  #tail: Promise<void> = Promise.resolve();
  #isTerminal: boolean | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get isTerminal(): boolean {
    return (this.#isTerminal ??= isatty(this.#fd));
  }

  /** Somebody else reads it, and may show it on our terminal at any time. */
  get isPipe(): boolean {
    try {
      const about = fstatSync(this.#fd);
      return about.isFIFO() || about.isSocket();
    } catch {
      return false;
    }
  }

  /** True when nothing, or a newline, was written last. */
  get endsLine(): boolean {
    return this.#endsLine;
  }

  /** On this terminal somebody has typed a newline behind what was written last. */
  lineTyped(): void {
    this.#endsLine = true;
  }

  /** Resolves when the kernel has all of it. @throws the system's error; see `isBrokenPipe` */
  write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (bytes.byteLength === 0) return this.#tail;
    const endsLine = bytes[bytes.byteLength - 1] === newline;
    this.#endsLine = endsLine;
    this.#tail = this.#tail.then(() => {
      const below = footer;
      if (below === undefined || !this.isTerminal) return this.#writeAll(bytes);
      return below.around(() => this.#writeAll(bytes), endsLine);
    });
    return this.#tail;
  }

  /** Goes around the footer; for the footer itself. */
  async writeBelow(text: string): Promise<void> {
    await this.#writeAll(Buffer.from(text));
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let retryMs = minRetryMs;
    for (let at = 0; at < bytes.byteLength;) {
      const count = await this.#writeSome(bytes, at);
      at += count;
      if (count > 0) {
        retryMs = minRetryMs;
        continue;
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      retryMs = Math.min(maxRetryMs, retryMs * 2);
    }
  }

  /** In the thread pool: a pipe that nobody reads must not stop the heartbeat. Returns 0 when there is no room now. */
  #writeSome(bytes: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, bytes, at, bytes.byteLength - at, null, (error, count) => {
        if (error === null) resolve(count);
        else if (error.code === "EAGAIN") resolve(0);
        else reject(error);
      });
    });
  }
}

const newline = 10;

export const stdout = new Sink(1);
export const stderr = new Sink(2);

/** Whoever read our output has gone. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/** A message for people: on stderr, on a line of its own, without anything that would do more than be read. Lost if nobody
 * can read it. */
export async function say(message: string): Promise<void> {
  // Where both are the terminal, output that has not ended its line is on ours.
  const isFree = stderr.endsLine && (stdout.endsLine || !stdout.isTerminal || !stderr.isTerminal);
  const start = isFree ? "" : "\n";
  await stderr.write(`${start}outpost: ${printableMessage(message)}\n`).catch(() => {});
}
