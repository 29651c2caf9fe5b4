/**
 * Bytes put aside: the first of them in memory, what is beyond the budget in a temporary file. They are addressed by the order in
 * which they came. The file has no name from the moment it is made, so that it goes when this process goes, however it ends.
 *
 *     0 ──────── memory ──────── budget ──────── file ──────── file's tail (in memory until it is worth a write) ──▶
 */
import { randomBytes } from "node:crypto";
import { readSync } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";

/** How much is kept in memory by default, in bytes. */
const defaultBudgetBytes = 16 * 1024 * 1024;
/** The memory is taken in pieces of this size, and the file written in them, by default, in bytes. */
const defaultSlabBytes = 1024 * 1024;

export interface SpoolOptions {
  readonly budgetBytes?: number;
  readonly slabBytes?: number;
  /** Where the temporary file is made. Default the system's place for those (`TMPDIR`). */
  readonly directory?: string;
}

export class Spool implements AsyncDisposable {
  readonly #budgetBytes: number;
  readonly #slabBytes: number;
  readonly #directory: string;
  readonly #slabs: Buffer[] = [];
  #file: FileHandle | undefined;
  /** What is behind the file's end. */
  #tail: Buffer | undefined;
  #tailBytes = 0;
  #size = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SpoolOptions = {}) {
    const { budgetBytes = defaultBudgetBytes, slabBytes = defaultSlabBytes, directory = tmpdir() } = options;
    // Whole slabs, so that none of them is cut by the border.
    this.#budgetBytes = Math.floor(budgetBytes / slabBytes) * slabBytes;
    this.#slabBytes = slabBytes;
    this.#directory = directory;
  }

  /** How many bytes it holds in all. */
  get size(): number {
    return this.#size;
  }

  /** How many bytes of memory it has taken. */
  get heldBytes(): number {
    return this.#slabs.length * this.#slabBytes + (this.#tail?.byteLength ?? 0);
  }

  /** @returns the address of the first byte. @throws OutpostError `limit_exceeded` where there is no room for them */
  async append(bytes: Uint8Array): Promise<number> {
    const address = this.#size;
    let left = bytes;
    while (left.byteLength > 0) {
      const room = this.#size < this.#budgetBytes ? this.#memory(left) : await this.#toFile(left);
      left = left.subarray(room);
    }
    return address;
  }

  /** The bytes from `address` on; they MUST have been appended. */
  read(address: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) at += this.#readSome(address + at, bytes.subarray(at));
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#slabs.length = 0;
    this.#tail = undefined;
    await this.#writing.catch(() => {});
    await this.#file?.close();
    this.#file = undefined;
  }

  /** @returns how many of them it has taken */
  #memory(bytes: Uint8Array): number {
    const at = this.#size % this.#slabBytes;
    if (at === 0) this.#slabs.push(Buffer.allocUnsafeSlow(this.#slabBytes));
    const count = Math.min(bytes.byteLength, this.#slabBytes - at);
    this.#slabs.at(-1)!.set(bytes.subarray(0, count), at);
    this.#size += count;
    return count;
  }

  async #toFile(bytes: Uint8Array): Promise<number> {
    this.#tail ??= Buffer.allocUnsafeSlow(this.#slabBytes);
    const count = Math.min(bytes.byteLength, this.#slabBytes - this.#tailBytes);
    this.#tail.set(bytes.subarray(0, count), this.#tailBytes);
    this.#tailBytes += count;
    this.#size += count;
    if (this.#tailBytes === this.#slabBytes) await this.#flush(this.#tail);
    return count;
  }

  async #flush(tail: Buffer): Promise<void> {
    const position = this.#size - this.#budgetBytes - this.#slabBytes;
    this.#writing = this.#writeTail(tail, position);
    try {
      await this.#writing;
    } catch (error) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `the hosts' output does not fit into ${this.#directory}: ${error instanceof Error ? error.message : String(error)}; set TMPDIR to ` +
          "a directory with more room, or use --output stream or --output-dir",
        { cause: error },
      );
    }
    this.#tailBytes = 0;
  }

  async #writeTail(tail: Buffer, position: number): Promise<void> {
    this.#file ??= await openUnnamed(this.#directory);
    for (let at = 0; at < tail.byteLength;) {
      const { bytesWritten } = await this.#file.write(tail, at, tail.byteLength - at, position + at);
      at += bytesWritten;
    }
  }

  #readSome(address: number, into: Buffer): number {
    if (address < this.#budgetBytes) {
      const slab = this.#slabs[Math.floor(address / this.#slabBytes)]!;
      return slab.copy(into, 0, address % this.#slabBytes, this.#slabBytes);
    }
    const inFile = this.#size - this.#budgetBytes - this.#tailBytes;
    const position = address - this.#budgetBytes;
    if (position >= inFile) return this.#tail!.copy(into, 0, position - inFile, this.#tailBytes);
    const count = Math.min(into.byteLength, inFile - position);
    // Not in the thread pool: it was just written, and comes from the system's memory in microseconds.
    const read = readSync(this.#file!.fd, into, 0, count, position);
    if (read === 0) throw new Error("the temporary file is shorter than what was written to it");
    return read;
  }
}

/** A new file that only we can read and nobody can find. */
async function openUnnamed(directory: string): Promise<FileHandle> {
  const path = join(directory, `outpost-${randomBytes(12).toString("hex")}`);
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}
