/**
 * What a session's terminal wrote, as bytes at absolute offsets: files of a bounded size, each named by the offset of
 * its first byte, and only ever appended to. What was seen goes, file by file; beyond the limit the oldest goes, seen
 * or not. Offsets are never used twice, so what went is a hole that readers are told of.
 *
 * Writes go to the page cache, synchronously: some microseconds each, and whatever dies after that, they are there.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { SeenRanges } from "./seen-ranges.ts";

const mebibyte = 1024 ** 2;
/** Whole files go at once; small ones waste little, and 256 of these are the default limit. */
const largestSegmentBytes = mebibyte;
/** The newest bytes are kept although they were seen: a viewer that was cut may not have them, though others do. */
const keptSeenBytes = mebibyte;
/** Digits of the largest safe integer, so that names sort as numbers. */
const nameDigits = 16;

interface Segment {
  readonly from: number;
  to: number;
}

export interface OutputLogOptions {
  /** Made when it is not there. What it holds is taken up. */
  readonly directory: string;
  /** How many bytes are kept at most. May be changed later. */
  readonly limitBytes: number;
  /** Told when the disk takes no more: what was written then is a hole. */
  readonly onFault: (error: Error) => void;
}

export class OutputLog {
  readonly #directory: string;
  readonly #onFault: (error: Error) => void;
  readonly #segments: Segment[];
  #limitBytes: number;
  #end: number;
  /** The file that is appended to: the last segment's. */
  #writing: number | undefined;
  /** The file that was read last, if it is not the one above. */
  #reading: { readonly from: number; readonly file: number } | undefined;

  constructor(options: OutputLogOptions) {
    this.#directory = options.directory;
    this.#onFault = options.onFault;
    this.#limitBytes = options.limitBytes;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#segments = readdirSync(options.directory)
      .filter((name) => name.length === nameDigits && /^\d+$/.test(name))
      .sort()
      .map((name) => {
        const from = Number(name);
        return { from, to: from + statSync(join(options.directory, name)).size };
      });
    this.#end = this.#segments.at(-1)?.to ?? 0;
  }

  /** The offset of the next byte: how many were ever written. */
  get end(): number {
    return this.#end;
  }

  get keptBytes(): number {
    return this.#segments.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  set limitBytes(bytes: number) {
    this.#limitBytes = bytes;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      try {
        at += this.#write(bytes.subarray(at));
      } catch (error) {
        // A full disk. The shell must not die of it, and the newest output is worth more than the oldest.
        if (this.#segments.length > 1) {
          this.#forget(this.#segments[0]!);
          continue;
        }
        this.#onFault(error as Error);
        this.#stopWriting();
        this.#end += bytes.byteLength - at;
        return;
      }
    }
  }

  /**
   * Reads bytes at `offset` into `block`.
   * @returns how many: 0 at the end, and where bytes are missing (see `kept`)
   */
  read(offset: number, block: Uint8Array): number {
    const segment = this.#segments.find(({ from, to }) => from <= offset && offset < to);
    if (segment === undefined || block.byteLength === 0) return 0;
    const length = Math.min(block.byteLength, segment.to - offset);
    return readSync(this.#fileOf(segment), block, 0, length, offset - segment.from);
  }

  /** The first offset at or after `offset` whose byte is there; the end when none is. */
  kept(offset: number): number {
    const segment = this.#segments.find(({ to }) => offset < to);
    return segment === undefined ? Math.max(offset, this.#end) : Math.max(offset, segment.from);
  }

  /** How many bytes are there that nobody has seen. */
  unread(seen: SeenRanges): number {
    return this.#segments.reduce((sum, { from, to }) => sum + to - from - seen.count(from, to), 0);
  }

  /**
   * Forgets what was seen, except the newest, and what is beyond the limit.
   * @param neededFrom what is before it nobody is about to read; holds back what was seen, never the limit
   */
  trim(seen: SeenRanges, neededFrom: number): void {
    const before = Math.min(neededFrom, this.#end - Math.min(keptSeenBytes, this.#limitBytes / 4));
    for (const segment of this.#segments.slice(0, -1)) {
      const { from, to } = segment;
      if (to <= before && seen.count(from, to) === to - from) this.#forget(segment);
    }
    while (this.#segments.length > 1 && this.keptBytes > this.#limitBytes) this.#forget(this.#segments[0]!);
  }

  /** Closes the files. What was written can still be read. */
  close(): void {
    this.#stopWriting();
    this.#stopReading();
  }

  #write(bytes: Uint8Array): number {
    const last = this.#segments.at(-1);
    const room = this.#segmentBytes - (last === undefined ? 0 : last.to - last.from);
    if (this.#writing === undefined || room <= 0) return this.#begin(bytes);
    const written = writeSync(this.#writing, bytes, 0, Math.min(bytes.byteLength, room));
    last!.to += written;
    this.#end += written;
    return written;
  }

  #begin(bytes: Uint8Array): number {
    this.#stopWriting();
    this.#writing = openSync(this.#path(this.#end), "ax+", 0o600);
    this.#segments.push({ from: this.#end, to: this.#end });
    return this.#write(bytes);
  }

  get #segmentBytes(): number {
    return Math.max(1, Math.min(largestSegmentBytes, Math.floor(this.#limitBytes / 4)));
  }

  #fileOf({ from }: Segment): number {
    if (this.#writing !== undefined && from === this.#segments.at(-1)!.from) return this.#writing;
    if (this.#reading?.from !== from) {
      this.#stopReading();
      this.#reading = { from, file: openSync(this.#path(from), "r") };
    }
    return this.#reading.file;
  }

  #forget(segment: Segment): void {
    if (this.#reading?.from === segment.from) this.#stopReading();
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    rmSync(this.#path(segment.from), { force: true });
  }

  #stopWriting(): void {
    if (this.#writing !== undefined) closeSync(this.#writing);
    this.#writing = undefined;
    // One that took nothing would be in the way of the next at the same offset.
    const last = this.#segments.at(-1);
    if (last !== undefined && last.from === last.to) this.#forget(last);
  }

  #stopReading(): void {
    if (this.#reading !== undefined) closeSync(this.#reading.file);
    this.#reading = undefined;
  }

  #path(offset: number): string {
    return join(this.#directory, String(offset).padStart(nameDigits, "0"));
  }
}
