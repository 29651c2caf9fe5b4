/** A directory that only its owner may enter: what protects the Unix sockets in it. */
import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { ErrorCode, OutpostError } from "@outpost/protocol";

/**
 * Makes the directory (0700), or makes sure that the one that is there is ours and closed to others: in `/tmp` anybody
 * could have made it before us.
 * @throws OutpostError `denied` when it is somebody else's, or no directory; `internal` when it cannot be made
 */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new OutpostError(ErrorCode.internal, `cannot make ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const found = lstatSync(path);
  const isOurs = found.isDirectory() && found.uid === process.getuid?.();
  if (!isOurs) {
    throw new OutpostError(
      ErrorCode.denied,
      `${path} is not a directory of this user: somebody else made it; remove it, or choose another agent directory`,
      { data: { path } },
    );
  }
  if ((found.mode & 0o077) !== 0) chmodSync(path, 0o700);
}
