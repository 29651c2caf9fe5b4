/**
 * What another user's programs are handed of ours: scripts, and what a session's shell reads and writes. In a place of
 * its own, because the directories of jobs and sessions are closed to everybody (0700).
 *
 *     handed/                0711, the agent's user's: whoever knows a name may use it, nobody can list or change names
 *       jobs/<job>/            script · command, stdin, stdout, stderr, exit, session-run
 *       sessions/<session>/    start-up files of a shell
 *
 * Files are handed over by ownership, and directories never: so nobody but us makes, moves or removes anything in there,
 * and no name of it can be made to lead elsewhere.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Account } from "./platform/index.ts";

export type HandedKind = "jobs" | "sessions";

const passable = 0o711;

export class HandedDirectory {
  readonly path: string;
  readonly owner: Account;

  /**
   * Makes it, and lets the way to it be passed.
   * @param root `handed/` in the agent's directory
   * @throws OutpostError `start_failed` when the user cannot get there; errors of the file system
   */
  constructor(root: string, kind: HandedKind, id: string, owner: Account) {
    this.path = handedPath(root, kind, id);
    this.owner = owner;
    openTheWay(root);
    for (const path of [root, dirname(this.path), this.path]) makePassable(path);
    checkTheWay(this.path, owner);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** A new file of the user's that only he may read. */
  write(name: string, content: string | Uint8Array, mode = 0o400): string {
    const path = this.file(name);
    const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      writeAll(file, typeof content === "string" ? Buffer.from(content) : content);
      fchmodSync(file, mode);
      fchownSync(file, this.owner.uid, this.owner.gid);
    } finally {
      closeSync(file);
    }
    return path;
  }

  /** Hands over a file that is ours, and stays where it is, too. */
  link(from: string, name: string): string {
    const path = this.file(name);
    linkSync(from, path);
    chownSync(path, this.owner.uid, this.owner.gid);
    return path;
  }

  /** A directory in it, which is ours. */
  folder(name: string): void {
    makePassable(this.file(name));
  }
}

export function handedPath(root: string, kind: HandedKind, id: string): string {
  return join(root, kind, id);
}

/** Takes back what was handed over. */
export function removeHanded(root: string, kind: HandedKind, id: string): void {
  rmSync(handedPath(root, kind, id), { recursive: true, force: true });
}

/** Which ids have something. */
export function handedIds(root: string, kind: HandedKind): readonly string[] {
  try {
    return readdirSync(join(root, kind));
  } catch {
    return []; // Nothing was ever handed over.
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength;) at += writeSync(file, bytes, at);
}

/** Whatever the umask is. One that is there is ours, or somebody else has been at work. */
function makePassable(path: string): void {
  try {
    mkdirSync(path, { mode: passable });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const found = lstatSync(path);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new OutpostError(
      ErrorCode.startFailed,
      `${path} is not a directory of the agent's user: somebody else made it; remove it`,
    );
  }
  if ((found.mode & 0o777) !== passable) chmodSync(path, passable);
}

/**
 * Lets others pass through the agent's own directory, once: first everything else in it is closed to them, whatever its
 * mode was.
 */
function openTheWay(root: string): void {
  const agentDirectory = dirname(root);
  const { mode, uid } = statSync(agentDirectory);
  if ((mode & 0o011) === 0o011 || uid !== process.getuid?.()) return;
  // A group that could get in before is meant to.
  const closing = (mode & 0o010) === 0 ? 0o077 : 0o007;
  for (const name of readdirSync(agentDirectory)) {
    const path = join(agentDirectory, name);
    const found = lstatSync(path);
    if (path === root || found.isSymbolicLink() || (found.mode & closing) === 0) continue;
    chmodSync(path, found.mode & 0o7777 & ~closing);
  }
  chmodSync(agentDirectory, (mode & 0o7777) | 0o011);
}

/** @throws OutpostError `start_failed` naming the directory that is closed */
function checkTheWay(path: string, owner: Account): void {
  const closed = closedDirectory(join(path, "any"), owner);
  if (closed === undefined) return;
  throw new OutpostError(
    ErrorCode.startFailed,
    `user ${owner.name} cannot reach what the agent hands over, because ${closed} is closed to others; ` +
      "give the agent a directory elsewhere, such as /var/lib/outpost-agent",
  );
}

/** The directory on the way to a file that a user may not pass, if there is one. */
export function closedDirectory(file: string, user: Account): string | undefined {
  for (let at = dirname(resolve(file)); ; at = dirname(at)) {
    if (!mayPass(statSync(at), user)) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** As far as can be told by the mode: other groups that the user is in do not count. */
function mayPass({ mode, uid, gid }: Stats, owner: Account): boolean {
  if (owner.uid === 0) return true;
  if (uid === owner.uid) return (mode & 0o100) !== 0;
  if (gid === owner.gid) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}
