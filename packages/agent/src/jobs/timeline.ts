/** A job's timeline (the protocol's, record by record) on its way to disk, and what a file of it covers. */
import { closeSync, fstatSync, readSync, writeSync } from "node:fs";
import {
  decodeTimeline,
  encodeTimeline,
  type OutputName,
  type TimelineRecord,
  timelineRecordBytes,
} from "@outpost/protocol";
import { isReplaced, openJobFile } from "./job-file.ts";

/** Records that wait in memory before they are written: few enough that a crash costs only how exact some times are. */
const maxWaiting = 32;

/** The timeline of a job while it grows. Its file is made at the first write: most jobs are over before. */
export class Timeline {
  readonly #path: string;
  #fileBytes: number;
  #waiting: TimelineRecord[] = [];

  /** @param fileBytes what the file holds already */
  constructor(path: string, fileBytes: number) {
    this.#path = path;
    // A crash in mid-write may have left a part of a record; it is written over.
    this.#fileBytes = fileBytes - (fileBytes % timelineRecordBytes);
  }

  get bytes(): number {
    return this.#fileBytes + this.#waiting.length * timelineRecordBytes;
  }

  /** All of it, when nothing of it is in the file. */
  get unwritten(): Uint8Array | undefined {
    return this.#fileBytes === 0 ? encodeTimeline(this.#waiting) : undefined;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** @throws when it had to be written and could not; nothing is forgotten then */
  append(record: TimelineRecord): void {
    this.#waiting.push(record);
    if (this.#waiting.length >= maxWaiting) this.flush();
  }

  /** @throws when the disk is full, or the directory gone */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const bytes = encodeTimeline(this.#waiting);
    const file = this.#open();
    if (file === undefined) {
      this.#waiting = [];
      return;
    }
    try {
      // At its place, not appended: after a short write the next one repairs it.
      const written = writeSync(file, bytes, 0, bytes.length, this.#fileBytes);
      if (written < bytes.length) throw new Error("the disk is full");
      this.#fileBytes += bytes.length;
      this.#waiting = [];
    } finally {
      closeSync(file);
    }
  }

  /** `undefined` when something else was put in its place: then there is no timeline any more. */
  #open(): number | undefined {
    try {
      return openJobFile(this.#path, this.#fileBytes === 0 ? "w" : "r+");
    } catch (error) {
      if (isReplaced(error)) return undefined;
      throw error;
    }
  }
}

/**
 * How much of each stream a timeline file covers. Reads it from its end.
 * @throws OutpostError `conflict` when it is no regular file
 */
export function coveredBy(path: string): Record<OutputName, number> {
  const covered = { stdout: 0, stderr: 0 };
  let file: number;
  try {
    file = openJobFile(path, "r");
  } catch (error) {
    if (isReplaced(error)) throw error;
    return covered;
  }
  try {
    const block = Buffer.alloc(4096 * timelineRecordBytes);
    const size = fstatSync(file).size;
    let end = size - (size % timelineRecordBytes);
    while (end > 0 && (covered.stdout === 0 || covered.stderr === 0)) {
      const start = Math.max(0, end - block.length);
      const length = readSync(file, block, 0, end - start, start);
      for (const { stream, upTo } of decodeTimeline(block.subarray(0, length))) {
        covered[stream] = Math.max(covered[stream], upTo);
      }
      end = start;
    }
  } finally {
    closeSync(file);
  }
  return covered;
}
