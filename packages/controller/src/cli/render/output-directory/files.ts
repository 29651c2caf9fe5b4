/** The output files of a directory: many of them, and few open at a time. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** How many are open at a time, at most: well below what a shell's default allows (256 on macOS). */
const maxOpen = 128;

export class Files {
  /** Open ones, that which was used longest ago first. */
  readonly #open = new Map<string, FileHandle>();
  /** All that were written to and may not be on the disk. */
  readonly #unsynced = new Set<string>();

  /** Puts the bytes at their place in the file; makes it if need be. */
  async write(path: string, bytes: Uint8Array, position: number): Promise<void> {
    const file = await this.#file(path);
    this.#unsynced.add(path);
    for (let at = 0; at < bytes.byteLength;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.byteLength - at, position + at);
      at += bytesWritten;
    }
  }

  async truncate(path: string, length: number): Promise<void> {
    const file = await this.#file(path);
    this.#unsynced.add(path);
    await file.truncate(length);
  }

  /** Everything is on the disk, and no file is open. */
  async close(): Promise<void> {
    for (const path of this.#unsynced) {
      const file = await this.#file(path);
      await file.datasync();
    }
    this.#unsynced.clear();
    for (const file of this.#open.values()) await file.close();
    this.#open.clear();
  }

  async #file(path: string): Promise<FileHandle> {
    let file = this.#open.get(path);
    if (file !== undefined) {
      this.#open.delete(path);
    } else {
      await this.#makeRoom();
      // Not through a link that somebody has put there.
      file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
    }
    this.#open.set(path, file);
    return file;
  }

  async #makeRoom(): Promise<void> {
    if (this.#open.size < maxOpen) return;
    const [oldest, file] = this.#open.entries().next().value!;
    this.#open.delete(oldest);
    await file.close();
  }
}
