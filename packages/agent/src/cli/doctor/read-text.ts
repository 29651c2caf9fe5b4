import { readFile } from "node:fs/promises";

/** `undefined` when it cannot be read. */
export function readText(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}
