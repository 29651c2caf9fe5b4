/**
 * A file that is being written under a name of its own, `.NAME.outpost-XXXXXXXX`, beside where it will be. Under its real
 * name it is whole or not there: it is checked, synced and renamed.
 */
import { createHash, randomBytes } from "node:crypto";
import { constants, fchmodSync, futimesSync, lstatSync } from "node:fs";
import { type FileHandle, lutimes, open, rename, symlink, unlink } from "node:fs/promises";
import { type OpenDirectory, secondsOf } from "./open-directory.ts";
import { kindText } from "./kind-text.ts";
import { broken } from "./record.ts";

/** The longest name of a file, in bytes. */
const maxNameBytes = 255;

export interface Attributes {
  readonly mode: number;
  /** In milliseconds since 1970. */
  readonly mtime: number;
}

export class TemporaryFile {
  readonly #directory: OpenDirectory;
  readonly #name: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #digest = createHash("sha256");
  #size = 0;

  private constructor(directory: OpenDirectory, name: string, temporary: string, handle: FileHandle) {
    this.#directory = directory;
    this.#name = name;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** @throws the system's error; an error that says what else cannot be replaced */
  static async create(directory: OpenDirectory, name: string): Promise<TemporaryFile> {
    checkReplaceable(directory, name);
    const temporary = temporaryName(name);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const handle = await open(directory.path(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    return new TemporaryFile(directory, name, temporary, handle);
  }

  /** @throws the system's error */
  async write(bytes: Uint8Array): Promise<void> {
    const writing = writeAll(this.#handle, bytes, this.#size);
    // While the kernel takes them.
    this.#digest.update(bytes);
    this.#size += bytes.byteLength;
    await writing;
  }

  /**
   * Gives it its real name, in the place of whatever file is there. When that fails nothing of it is left.
   * @throws OutpostError `protocol_error` when it is not what was sent; the system's error
   */
  async finish(
    expected: { readonly size: number; readonly sha256: Uint8Array },
    to: Attributes,
  ): Promise<void> {
    try {
      const isRight = this.#size === expected.size && this.#digest.digest().equals(expected.sha256);
      if (!isRight) throw broken(`${this.#name} did not arrive as it was sent`);
      // Of an open file, these take a microsecond here and fifty in another thread.
      fchmodSync(this.#handle.fd, to.mode);
      futimesSync(this.#handle.fd, secondsOf(to.mtime), secondsOf(to.mtime));
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#directory.path(this.#temporary), this.#directory.path(this.#name));
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Leaves nothing. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await unlink(this.#directory.path(this.#temporary)).catch(() => {});
  }
}

/** Makes a link in the place of whatever file or link is there. @throws as `TemporaryFile.create` */
export async function placeLink(
  directory: OpenDirectory,
  name: string,
  { target, mtime }: { readonly target: string; readonly mtime: number },
): Promise<void> {
  checkReplaceable(directory, name);
  const temporary = directory.path(temporaryName(name));
  await symlink(target, temporary);
  try {
    await lutimes(temporary, secondsOf(mtime), secondsOf(mtime));
    await rename(temporary, directory.path(name));
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Renaming would take away /dev/null, or the socket of a server. Directories refuse it themselves. */
function checkReplaceable(directory: OpenDirectory, name: string): void {
  const there = lstatSync(directory.path(name), { throwIfNoEntry: false });
  if (there === undefined || there.isFile() || there.isDirectory() || there.isSymbolicLink()) return;
  throw new Error(`is ${kindText(there)} in ${directory.name}, and is not replaced`);
}

/** One that nothing else has, no longer than names may be. */
export function temporaryName(name: string): string {
  const suffix = `.outpost-${randomBytes(4).toString("hex")}`;
  let kept = name;
  while (1 + Buffer.byteLength(kept) + suffix.length > maxNameBytes)
    kept = Array.from(kept).slice(0, -1).join("");
  return `.${kept}${suffix}`;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.byteLength - at, position + at);
    at += bytesWritten;
  }
}
