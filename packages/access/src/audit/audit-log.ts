/**
 * What was asked and decided, what came of it, and what else happened: lines that are appended and never changed, each of
 * them bound to the one before it.
 *
 * A line is one write to the kernel before `append` returns, and is not waited for to be on the disk: it survives our
 * death, and a power cut takes the last seconds. One process writes a log; any number may read it.
 *
 * A rotation renames the file, and the next line begins a new one; whatever dies in between, the chain goes on from the
 * newest line that there is.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import {
  type AuditListParams,
  type AuditListResult,
  type AuditVerification,
  type Clock,
  ErrorCode,
  OutpostError,
} from "@outpost/protocol";
import { currentName, firstOf, rotatedName, rotatedNames } from "./audit-files.ts";
import { formatLine, hashOf, type NewAuditEntry, parseLine } from "./audit-line.ts";
import { findChainEnd } from "./chain-end.ts";
import { endOfLines, linesOf } from "./lines.ts";
import { listAuditLog } from "./listing.ts";
import { removedAction, verifyAuditLog } from "./verification.ts";

export interface AuditLogOptions {
  /** `audit.ndjson` and the rotated `audit-<first sequence>.ndjson` are in it. */
  readonly directory: string;
  readonly clock: Pick<Clock, "now">;
  /** A file that has become as large is rotated, in bytes. Default 64 MiB. */
  readonly maxFileBytes?: number;
  /** How many rotated files are kept. Default 16. */
  readonly keptFiles?: number;
}

const defaultMaxFileBytes = 64 * 1024 * 1024;
const defaultKeptFiles = 16;
const newline = 10;

/** The file that is written. */
interface OpenFile {
  readonly file: number;
  /** The sequence number of its first line, or what it will be. */
  readonly first: number;
  /** Up to the end of its last line, in bytes. */
  size: number;
}

/** Appends synchronously: what returned is with the kernel and survives our death. */
export class AuditLog implements Disposable {
  readonly #directory: string;
  readonly #clock: Pick<Clock, "now">;
  readonly #maxFileBytes: number;
  readonly #keptFiles: number;
  #sequence: number;
  #head: string;
  #current: OpenFile | undefined;
  /** What the log has to say of itself, before anything else. */
  #notes: NewAuditEntry[] = [];
  #isDisposed = false;

  private constructor({ directory, clock, maxFileBytes, keptFiles }: AuditLogOptions) {
    this.#directory = directory;
    this.#clock = clock;
    this.#maxFileBytes = maxFileBytes ?? defaultMaxFileBytes;
    this.#keptFiles = keptFiles ?? defaultKeptFiles;
    makeDirectory(directory);
    const { sequence, head } = findChainEnd(directory);
    this.#sequence = sequence;
    this.#head = head;
  }

  /**
   * Opens or makes it (0600, in a directory 0700). An incomplete last line (a power cut) is taken off and noted.
   * @throws OutpostError `disk_full`, or `internal` when the directory cannot be used
   */
  static open(options: AuditLogOptions): AuditLog {
    try {
      const log = new AuditLog(options);
      log.#open();
      log.#noteOnFullDisk();
      return log;
    } catch (error) {
      throw failure(error, options.directory);
    }
  }

  /**
   * What is longer than an audit log should hold is shortened: 1,000 characters of a text, 10,000 hosts.
   * @returns the sequence number
   * @throws OutpostError `disk_full`, `internal`: then nothing was appended, and what it is about MUST NOT be done
   */
  append(entry: NewAuditEntry): number {
    if (this.#isDisposed) throw new OutpostError(ErrorCode.internal, "the audit log is closed");
    try {
      this.#makeRoom();
      this.#appendNotes();
      return this.#append(entry);
    } catch (error) {
      throw failure(error, this.#directory);
    }
  }

  /** The newest that fit. Whatever else is asked for, an answer holds 1 MiB of lines at most, and says that there are more. */
  list(filter: AuditListParams): Promise<AuditListResult> {
    return listAuditLog(this.#directory, filter);
  }

  /** Reads all of it: 13 s per GiB, with others let in between. */
  verify(): Promise<AuditVerification> {
    return verifyAuditLog(this.#directory);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#close();
  }

  #close(): void {
    if (this.#current !== undefined) closeSync(this.#current.file);
    this.#current = undefined;
  }

  #append(entry: NewAuditEntry): number {
    const current = this.#open();
    const sequence = this.#sequence + 1;
    const line = formatLine(entry, { sequence, time: this.#clock.now(), previous: this.#head });
    try {
      writeLine(current, line);
    } catch (error) {
      // What is in the file now is not certain; whoever opens it looks.
      this.#close();
      throw error;
    }
    this.#sequence = sequence;
    this.#head = hashOf(line);
    return sequence;
  }

  #appendNotes(): void {
    for (let note = this.#notes[0]; note !== undefined; note = this.#notes[0]) {
      this.#append(note);
      this.#notes.shift();
    }
  }

  /** A note can wait for room on the disk; whoever opens the log need not. */
  #noteOnFullDisk(): void {
    try {
      this.#appendNotes();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  #open(): OpenFile {
    if (this.#current !== undefined) return this.#current;
    const path = join(this.#directory, currentName);
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const file = openSync(path, flags, 0o600);
    try {
      fchmodSync(file, 0o600);
      const { size } = fstatSync(file);
      const end = endOfLines(file, size);
      if (end < size) {
        ftruncateSync(file, end);
        const what = `the last line was incomplete: ${String(size - end)} bytes were taken off`;
        this.#notes.push({ kind: "event", action: "audit.repaired", what });
      }
      this.#current = { file, size: end, first: end === 0 ? this.#sequence + 1 : this.#firstIn(file, end) };
      return this.#current;
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  #firstIn(file: number, end: number): number {
    const [lines] = linesOf(file, end);
    // A first line that was destroyed: the number of the last one is as unique, and later than that of any older file.
    return parseLine(lines?.[0])?.sequence ?? this.#sequence;
  }

  /** Rotates when the file is full. */
  #makeRoom(): void {
    const { size, first } = this.#open();
    if (size === 0 || size < this.#maxFileBytes) return;
    const target = join(this.#directory, rotatedName(first));
    // Somebody has put it there. What it replaced would be gone; so the file grows on, and verifying tells of it.
    if (existsSync(target)) return;
    renameSync(join(this.#directory, currentName), target);
    this.#close();
    this.#removeOldest();
  }

  #removeOldest(): void {
    const names = rotatedNames(this.#directory);
    const tooMany = names.length - this.#keptFiles;
    if (tooMany <= 0) return;
    const keptFrom = firstOf(names[tooMany] ?? "") ?? this.#sequence + 1;
    // Said before it is done: lines that are missing without this line were taken out by somebody else.
    const what = `lines before number ${String(keptFrom)} are removed, as ${String(this.#keptFiles)} rotated files are kept`;
    this.#notes.push({ kind: "event", action: removedAction, what, of: keptFrom });
    this.#appendNotes();
    for (const name of names.slice(0, tooMany)) rmSync(join(this.#directory, name), { force: true });
  }
}

/** The whole line, or nothing. @throws when nothing; the file may then end in half a line all the same */
function writeLine(current: OpenFile, line: Buffer): void {
  const bytes = Buffer.allocUnsafe(line.length + 1);
  line.copy(bytes);
  bytes[line.length] = newline;
  const written = writeSync(current.file, bytes);
  if (written < bytes.length) {
    // The kernel writes less than it was given when the disk is full after that. Half a line would spoil the next one.
    ftruncateSync(current.file, current.size);
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  }
  current.size += written;
}

function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  // EFBIG: the limit of RLIMIT_FSIZE.
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}

function failure(error: unknown, directory: string): OutpostError {
  if (error instanceof OutpostError) return error;
  const full = isDiskFull(error);
  const message = full
    ? `the disk is full, and nothing is done that cannot be recorded in ${directory}`
    : `the audit log in ${directory} cannot be written: ${(error as Error).message}`;
  return new OutpostError(full ? ErrorCode.diskFull : ErrorCode.internal, message, { cause: error });
}
