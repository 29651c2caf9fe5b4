/**
 * The standard input of a fan-out job while it arrives, in a file: it goes to each host at that host's pace, and again
 * after a cut. Its size is where the operator goes on; whether it is complete says the catalogue.
 *
 *     open ──▶ complete   the operator has sent its end
 *        └───▶ failed     the operator says that the rest will never come
 */
import { constants, mkdirSync, statSync } from "node:fs";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, type JobId, OutpostError } from "@outpost/protocol";
import { Wake } from "./wake.ts";

export class InputSpool {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #grew = new Wake();
  #size: number;
  #end: OutpostError | "complete" | undefined;
  /** Open from the first use on: opening it for every piece would cost more than the piece. */
  #opened: Promise<FileHandle> | undefined;
  #isClosed = false;

  constructor(file: string, maxBytes: number, end: OutpostError | "complete" | undefined) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    this.#end = end;
  }

  /** How many bytes are stored. */
  get size(): number {
    return this.#size;
  }

  get isComplete(): boolean {
    return this.#end === "complete";
  }

  /** Why it never will be complete. */
  get failure(): OutpostError | undefined {
    return this.#end instanceof OutpostError ? this.#end : undefined;
  }

  /** Appends bytes that begin at `offset`; what is stored already is left out. One write at a time.
   * @throws OutpostError `limit_exceeded` beyond the limit, `disk_full`, `invalid_argument` when bytes before `offset` are missing */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset > this.#size) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        `input at ${String(offset)}, where ${String(this.#size)} was due`,
      );
    }
    const fresh = bytes.subarray(this.#size - offset);
    if (this.#size + fresh.byteLength > this.#maxBytes) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `standard input is longer than ${String(this.#maxBytes)} bytes, the controller's limit (maxInputBytes)`,
      );
    }
    await this.#append(fresh);
    this.#size += fresh.byteLength;
    this.#grew.ring();
  }

  async sync(): Promise<void> {
    await (await this.#handle()).datasync();
  }

  /** There is no more to come. */
  complete(): void {
    this.#end ??= "complete";
    this.#grew.ring();
  }

  fail(error: OutpostError): void {
    this.#end ??= error;
    this.#grew.ring();
  }

  /** At most `length` bytes from `offset`. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const file = await this.#handle();
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  /** Resolves at the next change. */
  next(): Promise<void> {
    return this.#grew.next();
  }

  /** Wakes whoever waits in `next`. */
  wake(): void {
    this.#grew.ring();
  }

  /** Nobody needs it any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = this.#opened;
    this.#opened = undefined;
    await (await opened?.catch(() => {}))?.close();
  }

  #handle(): Promise<FileHandle> {
    if (this.#isClosed) throw new OutpostError(ErrorCode.conflict, "the job takes no input any more");
    if (this.#opened === undefined) {
      const opened = open(this.#file, constants.O_RDWR | constants.O_CREAT, 0o600);
      this.#opened = opened;
      // The next one tries again.
      opened.catch(() => (this.#opened = undefined));
    }
    return this.#opened;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      const file = await this.#handle();
      for (let done = 0; done < bytes.byteLength;) {
        done += (await file.write(bytes, done, bytes.byteLength - done, this.#size + done)).bytesWritten;
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
      throw new OutpostError(ErrorCode.diskFull, "the controller's disk is full", { cause: error });
    }
  }
}

/** The spools' files, one per fan-out job. */
export class InputSpools implements AsyncDisposable {
  readonly #root: string;
  readonly #maxBytes: number;
  readonly #spools = new Map<JobId, InputSpool>();

  constructor(root: string, maxBytes: number) {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    this.#root = root;
    this.#maxBytes = maxBytes;
  }

  /** Opens the spool of an unfinished fan-out job. `end`: how it ended, if it did. */
  open(id: JobId, end?: OutpostError | "complete"): InputSpool {
    const known = this.#spools.get(id);
    if (known !== undefined) return known;
    const spool = new InputSpool(join(this.#root, id), this.#maxBytes, end);
    this.#spools.set(id, spool);
    return spool;
  }

  get(id: JobId): InputSpool | undefined {
    return this.#spools.get(id);
  }

  /** Removes the files that no open spool has: we died before we could. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      if (!this.#spools.has(name as JobId)) await rm(join(this.#root, name), { force: true });
    }
  }

  async remove(id: JobId): Promise<void> {
    const spool = this.#spools.get(id);
    this.#spools.delete(id);
    await spool?.close();
    await rm(join(this.#root, id), { force: true });
  }

  /** Closes the files, and leaves them for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#spools.values()].map((spool) => spool.close()));
  }
}
