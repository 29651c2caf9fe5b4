/** Where a file stream goes: into a directory, or to a name beside others, as cp(1) decides it. */
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { OpenDirectory } from "./open-directory.ts";
import { codeOf, reasonText } from "./system-error.ts";

export interface DestinationOptions {
  readonly path: string;
  /** True: a directory, made if need be. False: so only if it is one already, else it is the name of the only entry. */
  readonly into: boolean;
}

export interface Destination {
  readonly directory: OpenDirectory;
  /** What the only entry is called there. Absent: entries keep their names. */
  readonly name?: string;
}

/**
 * @param many whether there may be several entries
 * @throws OutpostError `not_found`, `conflict`, `denied` saying what is in the way
 */
export async function openDestination(
  { path, into }: DestinationOptions,
  many: boolean,
): Promise<Destination> {
  try {
    if (into) {
      await mkdir(path, { recursive: true });
      return { directory: await OpenDirectory.open(path) };
    }
    if (await isDirectory(path)) return { directory: await OpenDirectory.open(path) };
  } catch (error) {
    throw explained(path, error);
  }
  if (many) {
    throw new OutpostError(
      ErrorCode.notFound,
      `${path} is not a directory, and several files need one; --into makes it`,
    );
  }
  const parent = dirname(path);
  try {
    return { directory: await OpenDirectory.open(parent), name: basename(path) };
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw explained(parent, error);
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no directory ${parent}; to have directories made, name the one to copy into, with --into`,
    );
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

function explained(path: string, error: unknown): OutpostError {
  const code = codeOf(error);
  // What mkdir says of a file.
  if (code === "EEXIST" || code === "ENOTDIR")
    return new OutpostError(
      ErrorCode.conflict,
      `${path} is not a directory, or below something that is none`,
    );
  const isDenied = code === "EACCES" || code === "EPERM" || code === "EROFS";
  const text = `${path}: ${reasonText(error)}`;
  if (isDenied) return new OutpostError(ErrorCode.denied, text, { cause: error });
  if (code === "ENOSPC" || code === "EDQUOT")
    return new OutpostError(ErrorCode.diskFull, text, { cause: error });
  return new OutpostError(ErrorCode.internal, text, { cause: error });
}
