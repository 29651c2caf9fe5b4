/** Files that are read in one go: with a call in another thread for each step, a small one would take thirty times as long. */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";

/** Larger ones are read block by block, and keep nothing else waiting. In bytes. */
export const maxSmallBytes = 64 * 1024;

export interface SmallFile {
  readonly stats: Stats;
  /** Of the block that was given. */
  readonly bytes: Uint8Array;
  readonly hasChanged: boolean;
}

/**
 * @param flags how to open it
 * @param block where its content goes; as large as a small file may be, at least
 * @returns undefined for what is no small file, or says that it is empty as those of /proc do
 * @throws the system's error
 */
export function readSmallFile(path: string, flags: number, block: Buffer): SmallFile | undefined {
  const file = openSync(path, flags);
  try {
    const stats = fstatSync(file);
    const { size } = stats;
    if (!stats.isFile() || size === 0 || size > maxSmallBytes) return undefined;
    let length = 0;
    for (let count = -1; count !== 0 && length < size; length += count) {
      count = readSync(file, block, length, size - length, length);
    }
    return { stats, bytes: block.subarray(0, length), hasChanged: hasChanged(stats, fstatSync(file)) };
  } finally {
    closeSync(file);
  }
}

/** Whether a file was written to between two looks at it. */
export function hasChanged(before: Stats, after: Stats): boolean {
  return before.size !== after.size || before.mtimeMs !== after.mtimeMs;
}
