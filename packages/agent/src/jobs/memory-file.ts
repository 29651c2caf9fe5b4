/**
 * Content that a job is given as an open file and that is never on a disk: a file of a file system in memory that has no
 * name any more, or where there is none, a pipe.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fchownSync, openSync, statfsSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Account } from "../platform/index.ts";
import { makePipe } from "./feed.ts";

/** Where systems have a file system in memory. */
const folders = ["/dev/shm", "/run"] as const;
/** statfs(2): tmpfs and ramfs. What is called so may be a directory on a disk. */
const memoryTypes: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export interface MemoryFileOptions {
  /** Whose it is. Default: ours. */
  readonly owner?: Account | undefined;
  /** A directory that is closed to others: there a pipe is made, and its name is taken away at once. */
  readonly pipeFolder: string;
  /** Where there may be a file system in memory. Default: where systems have one. */
  readonly memoryFolders?: readonly string[];
}

/**
 * A descriptor to read it by, from its beginning. Whoever inherits it may open `/dev/fd/N`, too, if it is his.
 * @throws OutpostError `start_failed` when there is no such file system and it does not fit into a pipe
 */
export function openMemoryFile(content: Uint8Array, options: MemoryFileOptions): number {
  const { owner, pipeFolder, memoryFolders = folders } = options;
  const folder = memoryFolders.find(isInMemory);
  const file = folder === undefined ? openPipe(content, pipeFolder) : openNameless(content, folder);
  try {
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function isInMemory(folder: string): boolean {
  try {
    return memoryTypes.has(statfsSync(folder).type);
  } catch {
    return false;
  }
}

function openNameless(content: Uint8Array, folder: string): number {
  const path = join(folder, `outpost-${randomBytes(16).toString("hex")}`);
  const writing = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o400);
  try {
    const reading = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    unlinkSync(path);
    for (let at = 0; at < content.byteLength;) at += writeSync(writing, content, at);
    return reading;
  } finally {
    closeSync(writing);
  }
}

/** It is full before anybody reads, so what does not fit cannot be written. */
function openPipe(content: Uint8Array, folder: string): number {
  const path = join(folder, `secret-${randomBytes(8).toString("hex")}`);
  makePipe(path);
  const writing = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const reading = openSync(path, constants.O_RDONLY);
    unlinkSync(path);
    const written = content.byteLength === 0 ? 0 : writeSync(writing, content);
    if (written === content.byteLength) return reading;
    closeSync(reading);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  } finally {
    closeSync(writing);
  }
  throw new OutpostError(
    ErrorCode.startFailed,
    `this host has no file system in memory, and ${String(content.byteLength)} bytes are more than a pipe holds; nothing secret is written to a disk`,
  );
}
