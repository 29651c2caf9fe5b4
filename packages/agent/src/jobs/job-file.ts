/**
 * Opens files of a job's directory. The job runs as the same user and could put something else in a file's place: a
 * symbolic link would make us read, or overwrite, any file of ours for it, and opening a pipe would stop us until
 * somebody writes to it. So links are not followed, and what is no regular file is not used.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;

const mode = 0o600;

/** As fopen(3) calls them, and `wx`: the file MUST not be there. */
const flags = {
  // Without O_NONBLOCK the opening of a pipe would wait for its other end; for files it means nothing.
  r: O_RDONLY | O_NONBLOCK,
  "r+": O_RDWR | O_NONBLOCK,
  w: O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK,
  wx: O_WRONLY | O_CREAT | O_EXCL,
  // These are inherited by jobs, which need not know of it.
  "w+": O_RDWR | O_CREAT | O_TRUNC,
  "a+": O_RDWR | O_CREAT | O_APPEND,
} as const;

/**
 * @returns a descriptor of a regular file
 * @throws OutpostError `conflict`: something else is in its place. Other errors are of the file system.
 */
export function openJobFile(path: string, how: keyof typeof flags): number {
  let file: number;
  try {
    file = openSync(path, flags[how] | O_NOFOLLOW, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ELOOP" || code === "EMLINK") throw replaced(path, "a symbolic link", error);
    // A pipe that nobody reads, a socket.
    if (code === "ENXIO") throw replaced(path, "no regular file", error);
    throw error;
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw replaced(path, "no regular file");
}

/** @throws as `openJobFile` */
export function readJobFile(path: string): Buffer {
  const file = openJobFile(path, "r");
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** The first bytes of an open file, which may be of any size: others write to it, too. */
export function readHead(file: number, maxBytes: number): Buffer {
  const content = Buffer.alloc(maxBytes);
  let length = 0;
  for (let read = -1; read !== 0 && length < maxBytes; length += read)
    read = readSync(file, content, length, maxBytes - length, length);
  return content.subarray(0, length);
}

/** The first bytes of a file that others write to. @throws as `openJobFile` */
export function readJobHead(path: string, maxBytes: number): Buffer {
  const file = openJobFile(path, "r");
  try {
    return readHead(file, maxBytes);
  } finally {
    closeSync(file);
  }
}

/** Writes a file of its own, whatever is in its place. @throws errors of the file system */
export function writeJobFile(path: string, content: string | Uint8Array): void {
  const file = createJobFile(path);
  try {
    writeFileSync(file, content);
  } finally {
    closeSync(file);
  }
}

function createJobFile(path: string): number {
  try {
    return openJobFile(path, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    unlinkSync(path);
    return openJobFile(path, "wx");
  }
}

/** 1 PiB: sums of such sizes are still exact. */
const maxBytes = 2 ** 50;
/** The last moment that a `Date` knows, in milliseconds since 1970. */
const maxTimeMs = 8.64e15;

/**
 * How long a file is, and when it was last written to. A job can give its files any size and any date; what we make of that
 * is one that everybody whom we tell takes for one. A status that nobody takes would cut this host off.
 */
export function extentOf({ size, mtimeMs }: Pick<Stats, "size" | "mtimeMs">): {
  readonly bytes: number;
  readonly timeMs: number;
} {
  return { bytes: Math.min(size, maxBytes), timeMs: Math.min(Math.max(mtimeMs, 0), maxTimeMs) };
}

/** Whether this error says that something else was put in a file's place. */
export function isReplaced(error: unknown): error is OutpostError {
  return error instanceof OutpostError && error.data["reason"] === "replaced";
}

function replaced(path: string, by: string, cause?: unknown): OutpostError {
  return new OutpostError(
    ErrorCode.conflict,
    `${basename(path)} in the job's directory is ${by} now; Outpost made a file, so something else put it there, and it is not used`,
    { data: { reason: "replaced", path }, cause },
  );
}
