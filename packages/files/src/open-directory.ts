/**
 * A directory that is held open while something is written into it, so that nobody who moves directories or puts links in
 * their places meanwhile can lead us elsewhere. Node has no openat(2); on Linux a name behind `/proc/self/fd/N/` is the same.
 * Elsewhere each directory is looked at when it is entered, and whoever may change the tree meanwhile is trusted.
 */
import { constants, existsSync } from "node:fs";
import { chmod, type FileHandle, lstat, mkdir, open, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { codeOf } from "./system-error.ts";

/** Of Linux, where Node does not name it: opens what may be entered and not listed, too. */
const openPath = 0x20_0000;
const hasDescriptors = process.platform === "linux" && existsSync("/proc/self/fd");
const flags = constants.O_DIRECTORY | (hasDescriptors ? openPath : constants.O_RDONLY);

export class OpenDirectory implements AsyncDisposable {
  /** For messages. */
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #base: string;

  private constructor(name: string, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
    this.#base = hasDescriptors ? `/proc/self/fd/${String(handle.fd)}` : name;
  }

  /** By a path that is trusted: links in it are followed. @throws the system's error */
  static async open(path: string): Promise<OpenDirectory> {
    return new OpenDirectory(path, await open(path, flags));
  }

  /** The path of something in it, for calls that do not follow a link there. */
  path(name: string): string {
    return `${this.#base}/${name}`;
  }

  /**
   * Makes a directory in it that only we can enter for now, or takes the one that is there. A link is not followed.
   * @throws the system's error; `ENOTDIR` when something else is there
   */
  async enter(
    name: string,
    mode: number,
  ): Promise<{ readonly directory: OpenDirectory; readonly isNew: boolean }> {
    const isNew = await this.#make(name, mode);
    const handle = await open(this.path(name), flags | constants.O_NOFOLLOW);
    const directory = new OpenDirectory(join(this.name, name), handle);
    try {
      if (!hasDescriptors) await this.#check(name, handle);
      if (!isNew) await directory.#open();
      return { directory, isNew };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Its last change, so everything in it must be there. @throws the system's error */
  async finish(mode: number, mtime: number): Promise<void> {
    await chmod(this.#itself, mode);
    await utimes(this.#itself, secondsOf(mtime), secondsOf(mtime));
  }

  /** What was renamed in it survives a crash from now on. Where that cannot be had it is as good as elsewhere. */
  async sync(): Promise<void> {
    try {
      await using handle = await open(this.#itself, constants.O_RDONLY | constants.O_DIRECTORY);
      await handle.sync();
    } catch {
      // Not readable by us, or a file system that does not know it.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  get #itself(): string {
    return hasDescriptors ? `${this.#base}/.` : this.#base;
  }

  async #make(name: string, mode: number): Promise<boolean> {
    try {
      await mkdir(this.path(name), { mode: 0o700 | (mode & 0o777) });
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  /** A directory of ours that we have closed to ourselves, as `0555`: it gets its mode at the end. */
  async #open(): Promise<void> {
    const { mode, uid } = await lstat(this.#itself);
    if ((mode & 0o700) === 0o700 || uid !== process.getuid?.()) return;
    await chmod(this.#itself, (mode & 0o7777) | 0o700);
  }

  async #check(name: string, handle: FileHandle): Promise<void> {
    const [opened, found] = [await handle.stat(), await lstat(this.path(name))];
    if (found.isDirectory() && opened.ino === found.ino && opened.dev === found.dev) return;
    throw new OutpostError(ErrorCode.conflict, `${join(this.name, name)} was replaced while it was entered`);
  }
}

/** As Node's `utimes` takes them: in seconds, of which it cuts a fraction off, so that 0.123 s would become 0.122999 s. */
export function secondsOf(timeMs: number): number | Date {
  // It takes a negative number for a mistake and the present for the time.
  if (timeMs < 0) return new Date(timeMs);
  const seconds = timeMs / 1000;
  return Number.isInteger(seconds) ? seconds : seconds + 0.000_000_3;
}
