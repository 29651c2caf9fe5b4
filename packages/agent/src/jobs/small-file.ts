/** The small JSON files of a job's directory. Sync: each takes microseconds, and order is what makes a crash harmless. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import * as v from "valibot";

const mode = 0o600;

/** Writes a file that may be found half-written after a crash. */
export function writeSmallFile(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value)}\n`, { mode });
}

/** Writes a file that is found whole or not at all. */
export function replaceSmallFile(path: string, value: unknown): void {
  const temporary = `${path}.tmp`;
  writeSmallFile(temporary, value);
  renameSync(temporary, path);
}

/** Reads one. `undefined` when it is not there, damaged, or not what it should be. */
export function readSmallFile<S extends v.GenericSchema>(
  path: string,
  schema: S,
): v.InferOutput<S> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(readFileSync(path, "utf8")));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
