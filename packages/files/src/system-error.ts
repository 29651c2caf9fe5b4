/** What a file system says, in words, and what it means for the rest of a copy. */
import { ErrorCode, OutpostError } from "@outpost/protocol";

const texts: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  ENOENT: "there is no such file or directory",
  ENOTDIR: "is not a directory",
  EISDIR: "is a directory",
  EEXIST: "is there already",
  ENOTEMPTY: "is a directory",
  ELOOP: "is a symbolic link, which is not followed, or too many of them",
  EROFS: "the file system is read-only",
  ENAMETOOLONG: "the name is too long",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open on this system",
  ETXTBSY: "the program is running",
  EBUSY: "is in use",
  EIO: "the disk reports an error",
};

export function codeOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** The end of a sentence that begins with a path. */
export function reasonText(error: unknown): string {
  return texts[codeOf(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
}

const fatalCodes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: ErrorCode.diskFull,
  EDQUOT: ErrorCode.diskFull,
  EMFILE: ErrorCode.limitExceeded,
  ENFILE: ErrorCode.limitExceeded,
};

/** What no other file would be spared either. */
export function asFatal(error: unknown, path: string): OutpostError | undefined {
  if (error instanceof OutpostError) return error;
  const code = fatalCodes[codeOf(error) ?? ""];
  if (code === undefined) return undefined;
  return new OutpostError(code, `${path}: ${reasonText(error)}`, { cause: error });
}
