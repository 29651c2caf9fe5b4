/** Reads a timeline file record by record while it grows. */
import { closeSync, openSync, readSync } from "node:fs";
import { Blocks } from "./blocks.ts";
import { decodeGrowth, recordBytes, type Growth } from "./timeline.ts";

/** How many records are read at once. */
const readAhead = 256;

export class TimelineReader {
  readonly #path: string;
  #file: number | undefined;
  #at = 0;
  #records: Growth[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Up to which byte of the file it has read. */
  get at(): number {
    return this.#at;
  }

  /** The next record within the first `extent` bytes; `undefined` when there is none (yet). */
  async next(extent: number): Promise<Growth | undefined> {
    const ready = this.#records.shift();
    if (ready !== undefined || this.#at >= extent) return ready;
    await Blocks.shared.use((block) => Promise.resolve(this.#read(block, extent)));
    return this.#records.shift();
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #read(block: Buffer, extent: number): void {
    try {
      this.#file ??= openSync(this.#path, "r");
    } catch {
      return; // never written, or gone
    }
    const wanted = Math.min(extent - this.#at, readAhead * recordBytes);
    const length = readSync(this.#file, block, 0, wanted, this.#at);
    for (let at = 0; at + recordBytes <= length; at += recordBytes) {
      const growth = decodeGrowth(block, at);
      if (growth !== undefined) this.#records.push(growth);
      this.#at += recordBytes;
    }
  }
}
