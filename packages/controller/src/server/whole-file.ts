/** Files of the controller's directory that are written whole or not at all. */
import { chmod, readFile, rename, rm, writeFile } from "node:fs/promises";

/** Certificates and policies are no secrets, keys are; the directory is its owner's alone anyway. */
export type FileMode = 0o600 | 0o644;

/** Whole or not at all, and never readable by others in between. */
export async function writeWhole(file: string, text: string, mode: FileMode): Promise<void> {
  const partial = `${file}.new`;
  await writeFile(partial, text, { mode, flush: true });
  // The mode above is cut by the umask, and is ignored when an earlier attempt left the file.
  await chmod(partial, mode);
  await rename(partial, file);
}

/** `undefined` when there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Does nothing when there is no such file. */
export async function removeFile(file: string): Promise<void> {
  await rm(file, { force: true });
}
