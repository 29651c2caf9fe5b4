/** Writes to the terminal: at once while it keeps up, and without stopping the event loop when it does not. */
import { closeSync, constants, openSync, readlinkSync, writeSync } from "node:fs";
import { stdout } from "../render/sink.ts";

export class TerminalWriter {
  /** A way to the terminal of our own: that it does not block is nobody else's concern. A write through the thread pool
   * takes 30 to 60 µs longer, which is felt in every keystroke's echo. */
  readonly #fd: number | undefined = openOwn();
  #slowWrites = 0;

  /** Resolves when the terminal has taken it. @throws the system's error */
  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const written = this.#slowWrites === 0 && this.#fd !== undefined ? tryWrite(this.#fd, bytes) : 0;
    if (written === bytes.byteLength) return;
    this.#slowWrites++;
    try {
      await stdout.write(bytes.subarray(written));
    } finally {
      this.#slowWrites--;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** Only where the system says which terminal it is. */
function openOwn(): number | undefined {
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(readlinkSync("/proc/self/fd/1"), O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** How many bytes it took; 0 when it has no room. What is wrong with it, the slow way says. */
function tryWrite(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    return 0;
  }
}
