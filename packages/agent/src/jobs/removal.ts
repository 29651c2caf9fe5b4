/** Removes directories of jobs. */
import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";

/** To free so much of a file takes a file system longer than others should wait, in bytes. */
const largeBytes = 64 * 1024 * 1024;

/**
 * Removes a directory with all that is in it. What cannot be removed now is removed when the agent starts again.
 * @param bytes how large it is, about
 */
export function removeDirectory(path: string, bytes = 0): void {
  if (bytes > largeBytes) {
    rm(path, { recursive: true, force: true }).catch(() => {});
    return;
  }
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // A process of the job still writes there, or it is not ours.
  }
}
