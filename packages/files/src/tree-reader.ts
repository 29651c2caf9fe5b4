/**
 * Trees of files to a file stream, in one pass and with the memory of one block: depth first, each directory in the order of
 * its names, so that two readings of the same tree are the same stream. Links in directories are read as links. What cannot
 * be read is said in the stream, and the rest goes on.
 */
import { createHash } from "node:crypto";
import { constants, openSync, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { limits } from "@outpost/protocol";
import { Encoder } from "./encoder.ts";
import { compareNames } from "./entry-path.ts";
import { kindText } from "./kind-text.ts";
import { hasChanged, readSmallFile } from "./small-file.ts";
import { maxDataBytes, maxDepth, maxPathBytes, type StreamRecord } from "./record.ts";
import type { Missing, Sources } from "./sources.ts";
import { reasonText } from "./system-error.ts";

export interface TreeReaderOptions {
  /** True: a named pipe that was named is read to its end. Default false: it is left out, as nobody may ever write to it. */
  readonly pipes?: boolean | undefined;
  /** Ends the waiting for whoever writes into a named pipe. Whoever reads the stream ends everything else. */
  readonly signal?: AbortSignal | undefined;
  /** Told of what could not be read, by its path here. */
  readonly onProblem?: ((problem: Missing & { readonly kind: "error" | "warning" }) => void) | undefined;
}

/** What is yielded at once, in bytes: as much as a chunk holds, so that no chunk goes with the rest of the one before. */
const blockBytes = limits.maxChunkBytes;

interface Entry {
  readonly path: string;
  /** In the stream. */
  readonly name: string;
  /** Of something that was named: links were followed. */
  readonly stats?: Stats | undefined;
}

/** A directory that is being read. Of what is in it only the names are held: there may be millions. */
interface Frame {
  readonly count: number;
  readonly entry: (index: number) => Entry;
  next: number;
}

/** The stream of these sources. Ending it early closes what is open. */
export async function* readTrees(
  found: Sources,
  options: TreeReaderOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let size = 0;
  for await (const piece of new Reading(found, options).pieces()) {
    for (let at = 0; at < piece.byteLength;) {
      const count = Math.min(blockBytes - size, piece.byteLength - at);
      block.set(piece.subarray(at, at + count), size);
      at += count;
      size += count;
      if (size < blockBytes) continue;
      yield block;
      // Whoever has the last one may keep it.
      block = Buffer.allocUnsafeSlow(blockBytes);
      size = 0;
    }
  }
  if (size > 0) yield block.subarray(0, size);
}

class Reading {
  readonly #found: Sources;
  readonly #options: TreeReaderOptions;
  readonly #encoder = new Encoder();
  readonly #block = Buffer.allocUnsafeSlow(maxDataBytes);
  #files = 0;
  #bytes = 0;
  #errors = 0;

  constructor(found: Sources, options: TreeReaderOptions) {
    this.#found = found;
    this.#options = options;
  }

  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    yield this.#encoder.begin();
    for await (const record of this.#records()) {
      if (record.type === "data") yield* this.#encoder.data(record.bytes);
      else yield this.#encoder.encode(record);
    }
    yield this.#encoder.end({ files: this.#files, bytes: this.#bytes, errors: this.#errors });
  }

  async *#records(): AsyncGenerator<BodyRecord, void, void> {
    const { sources, missing, many } = this.#found;
    yield { type: "begin", many };
    for (const { path, message } of missing) yield this.#error({ path, name: path }, message);
    const frames: Frame[] = [{ count: sources.length, entry: (index) => sources[index]!, next: 0 }];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      if (frame.next === frame.count) {
        frames.pop();
        continue;
      }
      const inside = yield* this.#entry(frame.entry(frame.next++), frames.length);
      if (inside !== undefined) frames.push(inside);
    }
  }

  /** @returns what is in it, if it is a directory */
  async *#entry(entry: Entry, depth: number): AsyncGenerator<BodyRecord, Frame | undefined, void> {
    const { path, name, stats: known } = entry;
    try {
      if (Buffer.byteLength(name) > maxPathBytes || depth > maxDepth) {
        yield this.#error(entry, "lies too deep, or its path is too long");
        return undefined;
      }
      const stats = known ?? (await lstat(path));
      const mtime = Math.round(stats.mtimeMs);
      const mode = stats.mode & 0o7777;
      if (stats.isDirectory()) {
        // First all of its names, so that a directory that cannot be read is no directory of the stream, and not an empty one.
        const { names, others } = await namesIn(path);
        yield { type: "directory", path: name, mode, mtime };
        const inside = (each: string): Entry => ({ path: join(path, each), name: `${name}/${each}` });
        for (const other of others) yield this.#error(inside(other), "has a name that is not UTF-8");
        return { count: names.length, entry: (index) => inside(names[index]!), next: 0 };
      }
      if (stats.isSymbolicLink()) {
        yield { type: "link", path: name, mtime, target: await readlink(path) };
      } else if (stats.isFile()) {
        yield* this.#file(entry);
      } else if (known !== undefined && this.#options.pipes === true && stats.isFIFO()) {
        yield* this.#pipe(entry);
      } else {
        yield this.#warning(entry, `is ${kindText(stats)} and is left out`);
      }
    } catch (error) {
      yield this.#error(entry, reasonText(error));
    }
    return undefined;
  }

  async *#file(entry: Entry): AsyncGenerator<BodyRecord, void, void> {
    const { path, name, stats: known } = entry;
    // A named link was followed when it was looked at, and is followed again.
    const follow = known !== undefined ? 0 : constants.O_NOFOLLOW;
    // Whatever has taken its place meanwhile: a pipe would wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | follow;
    const small = readSmallFile(path, flags, this.#block);
    if (small !== undefined) {
      const { stats, bytes, hasChanged: isOther } = small;
      yield fileRecord(name, stats);
      yield* this.#content(entry, [bytes]);
      if (isOther) yield this.#warning(entry, "was changed while it was read");
      return;
    }
    await using file = await open(path, flags);
    const stats = await file.stat();
    if (!stats.isFile()) {
      yield this.#warning(entry, "is no file any more");
      return;
    }
    yield fileRecord(name, stats);
    yield* this.#content(entry, this.#blocks(file, stats.size));
    if (hasChanged(stats, await file.stat())) yield this.#warning(entry, "was changed while it was read");
  }

  /** What somebody writes into a named pipe, until they close it. */
  async *#pipe(entry: Entry): AsyncGenerator<BodyRecord, void, void> {
    yield { type: "file", path: entry.name, mode: 0o644, mtime: Date.now(), size: 0 };
    const { signal } = this.#options;
    // No file to Node: a thread that waits for a writer could not be called back, and would keep the process.
    const pipe = new Socket({
      fd: openSync(entry.path, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    const stop = (): void => void pipe.destroy();
    signal?.addEventListener("abort", stop);
    try {
      yield* this.#content(entry, pipe as AsyncIterable<Uint8Array>);
    } finally {
      signal?.removeEventListener("abort", stop);
      pipe.destroy();
    }
  }

  /** Everything of a file behind its head. */
  async *#content(
    entry: Entry,
    blocks: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  ): AsyncGenerator<BodyRecord, void, void> {
    const digest = createHash("sha256");
    let size = 0;
    try {
      for await (const bytes of blocks) {
        digest.update(bytes);
        size += bytes.byteLength;
        yield { type: "data", bytes };
      }
    } catch (error) {
      yield this.#error(entry, reasonText(error));
      return;
    }
    yield { type: "file-end", size, sha256: digest.digest() };
    this.#files++;
    this.#bytes += size;
  }

  /** Of a file that grows, what was there when it was opened. Files of /proc say that they have nothing. */
  async *#blocks(file: FileHandle, size: number): AsyncGenerator<Uint8Array, void, void> {
    const limit = size > 0 ? size : Infinity;
    for (let at = 0; at < limit;) {
      const bytes = await this.#read(file, at, Math.min(limit - at, maxDataBytes));
      if (bytes.byteLength === 0) return;
      at += bytes.byteLength;
      yield bytes;
    }
  }

  /** Into the one block: whoever gets it is done with it before the next. */
  async #read(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
    const { bytesRead } = await file.read(this.#block, 0, length, position);
    return this.#block.subarray(0, bytesRead);
  }

  #error({ path, name }: Pick<Entry, "path" | "name">, message: string): StreamProblem {
    this.#errors++;
    this.#options.onProblem?.({ path, message, kind: "error" });
    return { type: "error", path: name, message };
  }

  #warning({ path, name }: Pick<Entry, "path" | "name">, message: string): StreamProblem {
    this.#options.onProblem?.({ path, message, kind: "warning" });
    return { type: "warning", path: name, message };
  }
}

/** Any but the last. */
type BodyRecord = Exclude<StreamRecord, { type: "end" }>;
type StreamProblem = Extract<StreamRecord, { type: "error" | "warning" }>;

function fileRecord(path: string, { mode, mtimeMs, size }: Stats): BodyRecord {
  return { type: "file", path, mode: mode & 0o7777, mtime: Math.round(mtimeMs), size };
}

/** The names in a directory in their order, and those that are not UTF-8 as far as they can be written. */
async function namesIn(
  path: string,
): Promise<{ readonly names: readonly string[]; readonly others: readonly string[] }> {
  const names = await readdir(path);
  // What stands for bytes that are none of UTF-8 may also be in a name.
  if (!names.some((name) => name.includes("\ufffd"))) return { names: names.sort(compareNames), others: [] };
  const right: string[] = [];
  const others: string[] = [];
  for (const raw of await readdir(path, { encoding: "buffer" })) {
    const name = raw.toString("utf8");
    (Buffer.from(name).equals(raw) ? right : others).push(name);
  }
  return { names: right.sort(compareNames), others };
}
