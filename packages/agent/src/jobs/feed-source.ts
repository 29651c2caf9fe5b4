/** What a process that feeds a job's input asks of the job's directory. Plain Node and nothing else. */
import { constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The job could have put a link, or a pipe, in a file's place. */
const flag = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The size of the whole input, once that is known. */
export function completeSize(directory: string): number | undefined {
  try {
    const record = JSON.parse(readFileSync(join(directory, "stdin.end"), { encoding: "utf8", flag })) as {
      size: number;
    };
    return record.size;
  } catch {
    return undefined;
  }
}

export function jobIsOver(directory: string): boolean {
  try {
    // The record of how the job ended is the only thing that ends a line there.
    return (
      readFileSync(join(directory, "exit"), { encoding: "latin1", flag }).includes("\n") ||
      existsSync(join(directory, "end.json"))
    );
  } catch {
    return !existsSync(join(directory, "spec.json"));
  }
}
