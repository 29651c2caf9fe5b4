/** Buffers to read files into, shared by all readers: their number, not the number of readers, bounds the memory. */
import { limits } from "@outpost/protocol";

/** As many as Node reads files at once. */
const count = 4;

export class Blocks {
  static readonly shared = new Blocks();

  readonly #free: Buffer[] = [];
  #made = 0;
  readonly #waiting: ((block: Buffer) => void)[] = [];

  /** Lends a block of `maxChunkBytes` for as long as `action` runs. What it holds at first is undefined. */
  async use<T>(action: (block: Buffer) => Promise<T>): Promise<T> {
    const block = await this.#take();
    try {
      return await action(block);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(block);
      else next(block);
    }
  }

  #take(): Promise<Buffer> | Buffer {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made < count) {
      this.#made++;
      return Buffer.allocUnsafeSlow(limits.maxChunkBytes);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
