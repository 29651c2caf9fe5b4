/** Reads a timeline file record by record while it grows. */
import { closeSync, readSync } from "node:fs";
import { decodeTimeline, type TimelineRecord, timelineRecordBytes } from "@outpost/protocol";
import { Blocks } from "./blocks.ts";
import { isReplaced, openJobFile } from "./job-file.ts";

/** How many records are read at once. */
const readAhead = 256;

export class TimelineReader {
  readonly #path: string;
  #file: number | undefined;
  #at = 0;
  #records: TimelineRecord[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Up to which byte of the file it has read. */
  get at(): number {
    return this.#at;
  }

  /** The next record within the first `extent` bytes; `undefined` when there is none (yet). */
  async next(extent: number): Promise<TimelineRecord | undefined> {
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
      this.#file ??= openJobFile(this.#path, "r");
    } catch (error) {
      if (isReplaced(error)) throw error;
      return; // never written, or gone
    }
    const wanted = Math.min(extent - this.#at, readAhead * timelineRecordBytes);
    const length = readSync(this.#file, block, 0, wanted, this.#at);
    // Only whole records: the end of one may be on its way.
    const whole = length - (length % timelineRecordBytes);
    this.#records.push(...decodeTimeline(block.subarray(0, whole)));
    this.#at += whole;
  }
}
