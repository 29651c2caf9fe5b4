/**
 * The record of when stdout and stderr grew: it restores their interleaving, and says when each byte came.
 *
 *     bytes 0–7    time of the growth, microseconds since 1970-01-01T00:00:00Z, big-endian
 *     byte  8      stream: 1 stdout, 2 stderr
 *     bytes 9–15   the stream's size after the growth, big-endian
 *
 * One record of 16 bytes for each growth that was *seen*: writes that follow each other within the time of one
 * observation share a record. Records of one stream have rising sizes; times are the host's clock and may step.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

export const recordBytes = 16;

export type OutputStream = "stdout" | "stderr";

export interface Growth {
  readonly stream: OutputStream;
  /** Size of the stream after it, in bytes. */
  readonly size: number;
  /** Microseconds since 1970. */
  readonly timeUs: number;
}

const streamCodes = { stdout: 1, stderr: 2 } as const;
const twoTo32 = 2 ** 32;

export function encodeGrowth({ stream, size, timeUs }: Growth): Uint8Array {
  const bytes = Buffer.alloc(recordBytes);
  bytes.writeUInt32BE(Math.floor(timeUs / twoTo32), 0);
  bytes.writeUInt32BE(timeUs % twoTo32, 4);
  bytes.writeUInt8(streamCodes[stream], 8);
  // 56 bits: three bytes and four.
  bytes.writeUIntBE(Math.floor(size / twoTo32), 9, 3);
  bytes.writeUInt32BE(size % twoTo32, 12);
  return bytes;
}

/** Reads the record at `at`. `undefined` for one of a stream that we do not know. */
export function decodeGrowth(bytes: Buffer, at: number): Growth | undefined {
  const code = bytes.readUInt8(at + 8);
  if (code !== streamCodes.stdout && code !== streamCodes.stderr) return undefined;
  return {
    stream: code === streamCodes.stdout ? "stdout" : "stderr",
    size: bytes.readUIntBE(at + 9, 3) * twoTo32 + bytes.readUInt32BE(at + 12),
    timeUs: bytes.readUInt32BE(at) * twoTo32 + bytes.readUInt32BE(at + 4),
  };
}

/** Records that wait in memory before they are written: few enough that a crash costs only how exact some times are. */
const maxWaiting = 32;

/** The timeline of a job while it grows. Its file is made at the first write: most jobs are over before. */
export class Timeline {
  readonly #path: string;
  #fileBytes: number;
  #waiting: Uint8Array[] = [];

  /** @param fileBytes what the file holds already */
  constructor(path: string, fileBytes: number) {
    this.#path = path;
    // A crash in mid-write may have left a part of a record; it is written over.
    this.#fileBytes = fileBytes - (fileBytes % recordBytes);
  }

  get bytes(): number {
    return this.#fileBytes + this.#waiting.length * recordBytes;
  }

  /** All of it, when nothing of it is in the file. */
  get unwritten(): Uint8Array | undefined {
    return this.#fileBytes === 0 ? Buffer.concat(this.#waiting) : undefined;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** @throws when it had to be written and could not; nothing is forgotten then */
  append(growth: Growth): void {
    this.#waiting.push(encodeGrowth(growth));
    if (this.#waiting.length >= maxWaiting) this.flush();
  }

  /** @throws when the disk is full, or the directory gone */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    const file = openSync(this.#path, this.#fileBytes === 0 ? "w" : "r+", 0o600);
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
}

/** How much of each stream a timeline file covers. Reads it from its end. */
export function coveredBy(path: string): { stdout: number; stderr: number } {
  const covered = { stdout: 0, stderr: 0 };
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return covered;
  }
  try {
    const block = Buffer.alloc(4096 * recordBytes);
    const size = fstatSync(file).size;
    let end = size - (size % recordBytes);
    while (end > 0 && (covered.stdout === 0 || covered.stderr === 0)) {
      const start = Math.max(0, end - block.length);
      const length = readSync(file, block, 0, end - start, start);
      for (let at = 0; at + recordBytes <= length; at += recordBytes) {
        const growth = decodeGrowth(block, at);
        if (growth !== undefined) covered[growth.stream] = Math.max(covered[growth.stream], growth.size);
      }
      end = start;
    }
  } finally {
    closeSync(file);
  }
  return covered;
}
