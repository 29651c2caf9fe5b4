/** Names of one directory as a file system sees them that does not tell `A` from `a`. */
import { lstat, mkdir, rmdir } from "node:fs/promises";
import type { OpenDirectory } from "./open-directory.ts";
import { temporaryName } from "./temporary-file.ts";

export class CaseFolding {
  #isBlind: boolean | undefined;
  /** Only kept where it matters. */
  readonly #folded = new Set<string>();

  /** @param parent that of the directory that it lies in: what is known of that one holds here */
  constructor(parent?: CaseFolding) {
    if (parent !== undefined) this.#isBlind = parent.#isBlind;
  }

  /** Whether a name would be that of an earlier entry. @param before the entry before it, if there is one */
  async collides(directory: OpenDirectory, before: string | undefined, name: string): Promise<boolean> {
    if (before === undefined) return false;
    this.#isBlind ??= await isCaseBlind(directory);
    if (!this.#isBlind) return false;
    this.#folded.add(fold(before));
    const isTaken = this.#folded.has(fold(name));
    this.#folded.add(fold(name));
    return isTaken;
  }
}

function fold(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

/** Tried out: a directory says nothing of it. */
async function isCaseBlind(directory: OpenDirectory): Promise<boolean> {
  const name = temporaryName("case");
  try {
    await mkdir(directory.path(name), { mode: 0o700 });
  } catch {
    return false; // Nothing else can be made there either.
  }
  try {
    await lstat(directory.path(name.toUpperCase()));
    return true;
  } catch {
    return false;
  } finally {
    await rmdir(directory.path(name)).catch(() => {});
  }
}
