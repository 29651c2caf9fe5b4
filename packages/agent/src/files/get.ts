/** Reads files into a stream on standard output. */
import { write, writeSync } from "node:fs";
import { promisify } from "node:util";
import { findSources, readTrees } from "@outpost/files";
import { OutpostError } from "@outpost/protocol";
import { remotePath } from "./remote-path.ts";

const writeOutput = promisify(write);

/** @returns the exit code */
export async function get(paths: readonly string[]): Promise<number> {
  let failed = 0;
  const onProblem = ({ path, message, kind }: { path: string; message: string; kind: string }): void => {
    if (kind === "error") failed++;
    writeSync(2, `${path}: ${message}\n`);
  };
  try {
    const found = await findSources(paths.map(remotePath), { patterns: true });
    for await (const bytes of readTrees(found, { onProblem })) {
      for (let at = 0; at < bytes.byteLength;) {
        at += (await writeOutput(1, bytes, at, bytes.byteLength - at, null)).bytesWritten;
      }
    }
    return failed === 0 ? 0 : 1;
  } catch (error) {
    writeSync(2, `${OutpostError.from(error).message}\n`);
    return 1;
  }
}
