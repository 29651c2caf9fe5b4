/** A new file that nobody else may read. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { ErrorCode, OutpostError } from "@outpost/protocol";

export interface PrivateFile extends AsyncDisposable {
  readonly handle: FileHandle;
  /** Takes it away again. */
  readonly discard: () => Promise<void>;
}

/** @throws OutpostError `conflict` when it exists, `invalid_argument` when it cannot be made */
export async function newPrivateFile(file: string): Promise<PrivateFile> {
  const handle = await openNew(file);
  return {
    handle,
    discard: () => rm(file, { force: true }),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function openNew(file: string): Promise<FileHandle> {
  try {
    return await open(file, "wx", 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw code === "EEXIST"
      ? new OutpostError(ErrorCode.conflict, `${file} exists already`, { cause })
      : new OutpostError(ErrorCode.invalidArgument, `${file} cannot be written (${String(code)})`, { cause });
  }
}
