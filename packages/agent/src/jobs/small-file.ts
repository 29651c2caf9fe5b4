/** The small JSON files of a job's directory. Sync: each takes microseconds, and order is what makes a crash harmless. */
import { renameSync } from "node:fs";
import * as v from "valibot";
import { isReplaced, readJobFile, writeJobFile } from "./job-file.ts";

/** Writes a file that may be found half-written after a crash. */
export function writeSmallFile(path: string, value: unknown): void {
  writeJobFile(path, `${JSON.stringify(value)}\n`);
}

/** Writes a file that is found whole or not at all. */
export function replaceSmallFile(path: string, value: unknown): void {
  const temporary = `${path}.tmp`;
  writeSmallFile(temporary, value);
  renameSync(temporary, path);
}

/**
 * Reads one. `undefined` when it is not there, damaged, or not what it should be.
 * @throws OutpostError `conflict` when it is no regular file
 */
export function readSmallFile<S extends v.GenericSchema>(
  path: string,
  schema: S,
): v.InferOutput<S> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(readJobFile(path).toString()));
    return result.success ? result.output : undefined;
  } catch (error) {
    if (isReplaced(error)) throw error;
    return undefined;
  }
}
