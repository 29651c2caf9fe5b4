/** A job's streamed input on its way to disk. What is stored is stored: after any cut it goes on from `size`. */
import { closeSync, write } from "node:fs";
import { promisify } from "node:util";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
import { openJobFile } from "./job-file.ts";
import { readSmallFile, replaceSmallFile } from "./small-file.ts";
import * as v from "valibot";

const writeAt = promisify(write);
const EndMark = v.object({ size: v.number() });

/** The standard input of a job while it arrives. */
export interface InputSpool {
  /** How many bytes are stored: where the sender goes on. */
  readonly size: number;
  /** Stores bytes. What is below `size` already is ignored. @throws OutpostError `invalid_argument` beyond `size`, `disk_full` */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** The input is complete; resolves when all of it is on disk. The job sees end of file after the last byte. */
  end(): Promise<void>;
  /** The input will never be complete: the job is stopped rather than shown a false end of file. */
  fail(error: OutpostError): Promise<void>;
}

export interface SpoolOptions {
  readonly job: Job;
  readonly directory: JobDirectory;
  /** The file that it is kept in. */
  readonly name: "stdin" | "stdin.spool";
  /** @throws OutpostError `disk_full` when so many bytes more would be too much */
  readonly checkRoom: (bytes: number) => void;
  readonly stop: (message: string) => void;
}

export class SpoolFile implements InputSpool {
  readonly #options: SpoolOptions;
  /** One write after the other: their order is the input's. */
  #last: Promise<void> = Promise.resolve();
  #size: number;
  #complete: boolean;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#size = options.directory.sizeOf(options.name);
    this.#complete = readSmallFile(options.directory.file("stdin.end"), EndMark) !== undefined;
    options.job.inputBytes = this.#size;
  }

  get size(): number {
    return this.#size;
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#next(() => this.#store(offset, bytes));
  }

  end(): Promise<void> {
    return this.#next(() => {
      if (this.#complete) return;
      replaceSmallFile(this.#options.directory.file("stdin.end"), { size: this.#size });
      this.#complete = true;
    });
  }

  fail(error: OutpostError): Promise<void> {
    return this.#next(() => {
      if (!this.#complete) this.#options.stop(`its input ended too early: ${error.message}`);
    });
  }

  #next(action: () => Promise<void> | void): Promise<void> {
    const done = this.#last.then(action);
    this.#last = done.catch(() => {});
    return done;
  }

  async #store(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset > this.#size) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        `input at offset ${String(offset)}, where ${String(this.#size)} was due`,
      );
    }
    const fresh = bytes.subarray(Math.min(bytes.byteLength, this.#size - offset));
    if (fresh.byteLength === 0) return;
    if (this.#complete) throw new OutpostError(ErrorCode.conflict, "the input has ended already");
    const { directory, name, job, checkRoom } = this.#options;
    if (job.ended) throw new OutpostError(ErrorCode.conflict, "the job has ended");
    checkRoom(fresh.byteLength);
    const file = openJobFile(directory.file(name), "r+");
    try {
      for (let at = 0; at < fresh.byteLength;) {
        const { bytesWritten } = await writeAt(file, fresh, at, fresh.byteLength - at, this.#size);
        at += bytesWritten;
        this.#size += bytesWritten;
      }
    } catch (cause) {
      throw diskError(cause);
    } finally {
      closeSync(file);
      job.inputBytes = this.#size;
    }
  }
}

function diskError(cause: unknown): OutpostError {
  const { code } = cause as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return full
    ? new OutpostError(ErrorCode.diskFull, "the host's disk is full", { cause })
    : OutpostError.from(cause);
}
