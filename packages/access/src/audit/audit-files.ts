/**
 * The files of an audit log:
 *
 *     audit.ndjson                the newest lines; the only one that is written
 *     audit-000000000001.ndjson   rotated ones, each named by the sequence number of its first line
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { endOfLines } from "./lines.ts";

export const currentName = "audit.ndjson";

const pattern = /^audit-(\d{12,16})\.ndjson$/;

/** So often a log that is rotated while it is opened is opened anew. */
const maxAttempts = 100;

/** What is no file of ours is not followed, and not waited for. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function rotatedName(first: number): string {
  return `audit-${String(first).padStart(12, "0")}.ndjson`;
}

/** The sequence number of a rotated file's first line, as its name says; `undefined` for the current one. */
export function firstOf(name: string): number | undefined {
  const found = pattern.exec(name);
  return found === null ? undefined : Number(found[1]);
}

/** The names of the rotated files, the oldest first. Empty when there is no directory. */
export function rotatedNames(directory: string): string[] {
  return (orMissing(() => readdirSync(directory)) ?? [])
    .filter((name) => pattern.test(name))
    .sort((left, right) => firstOf(left)! - firstOf(right)!);
}

interface OpenFile {
  readonly name: string;
  readonly file: number;
}

/** A file of a log as it was at one moment. */
export interface AuditFile extends OpenFile {
  /** Where its last complete line ends, in bytes. */
  readonly end: number;
  /** In bytes; beyond `end` there is a line that is being written, or never was. */
  readonly size: number;
}

/** A log as it was at one moment, the oldest file first. Another process may write it meanwhile. */
export class AuditFiles implements Disposable, Iterable<AuditFile> {
  readonly #files: readonly AuditFile[];

  private constructor(files: readonly AuditFile[]) {
    this.#files = files;
  }

  /** @throws OutpostError `internal` when they cannot be read */
  static open(directory: string): AuditFiles {
    try {
      for (let attempt = 1; ; attempt++) {
        // Nobody rotates as fast; what looks so was put together by hand, and verifying it tells.
        const files = openAll(directory, attempt === maxAttempts);
        if (files !== undefined) return new AuditFiles(files);
      }
    } catch (cause) {
      const message = `the audit log in ${directory} cannot be read: ${(cause as Error).message}`;
      throw new OutpostError(ErrorCode.internal, message, { cause });
    }
  }

  [Symbol.iterator](): Iterator<AuditFile> {
    return this.#files[Symbol.iterator]();
  }

  newestFirst(): AuditFile[] {
    return this.#files.toReversed();
  }

  [Symbol.dispose](): void {
    closeAll(this.#files);
  }
}

/** @returns `undefined` when the log was rotated in between: then there is a hole between the files that were opened */
function openAll(directory: string, mayHaveHoles: boolean): AuditFile[] | undefined {
  const opened: OpenFile[] = [];
  const open = (name: string): boolean => {
    const file = orMissing(() => openSync(join(directory, name), flags));
    if (file !== undefined) opened.push({ name, file });
    return file !== undefined;
  };
  try {
    const hasCurrent = open(currentName);
    const names = rotatedNames(directory);
    const areThere = names.map(open);
    // A name that is moved while names are read may be passed over. As long as the current file is the same, and no name
    // has come, nothing was rotated since it was opened; and what was removed then is said in it.
    const current = orMissing(() => statSync(join(directory, currentName)).ino);
    const inodes = opened.map(({ file }) => fstatSync(file).ino);
    const isSame =
      current === (hasCurrent ? inodes[0] : undefined) && rotatedNames(directory).join() === names.join();
    const isWhole = !areThere.includes(false) && isSame && new Set(inodes).size === inodes.length;
    if (!isWhole && !mayHaveHoles) {
      closeAll(opened);
      return undefined;
    }
    const [first, ...others] = opened;
    const inOrder = hasCurrent ? [...others, first!] : opened;
    // How long they are is looked at last: before the writer removes a file it says so, and what it said must be in here
    // when the file is not.
    return inOrder.map(measured);
  } catch (error) {
    closeAll(opened);
    throw error;
  }
}

function measured({ name, file }: OpenFile): AuditFile {
  const { size } = fstatSync(file);
  return { name, file, size, end: endOfLines(file, size) };
}

function closeAll(files: readonly OpenFile[]): void {
  for (const { file } of files) closeSync(file);
}

function orMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
