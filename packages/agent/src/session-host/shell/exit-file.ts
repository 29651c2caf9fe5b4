/** The `exit` file of a job that runs in a session: in the format of every job's (jobs/exit-record.ts). */
import { closeSync, constants as files, openSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Exit } from "@outpost/protocol";
import { maxExitBytes, parseExitRecord } from "../../jobs/exit-record.ts";
import { readJobHead } from "../../jobs/job-file.ts";
import { emptyExitRecord } from "../../jobs/wrapper.ts";

/** Whether the record of the job in this directory is there and whole. */
export function hasEnded(directory: string): boolean {
  try {
    return parseExitRecord(readJobHead(join(directory, "exit"), maxExitBytes)).kind === "complete";
  } catch {
    return false; // No such job, or it was removed.
  }
}

/**
 * Writes how it ended where the shell could not. In place: the file's block is there, even on a full disk.
 * @throws errors of the file system
 */
export function writeExit(directory: string, exit: Exit): void {
  const record = Buffer.from(emptyExitRecord);
  record.write(recordText(exit), "latin1");
  const flags = files.O_WRONLY | files.O_CREAT | files.O_NOFOLLOW | files.O_NONBLOCK;
  const file = openSync(join(directory, "exit"), flags, 0o600);
  try {
    writeSync(file, record, 0, record.length, 0);
  } finally {
    closeSync(file);
  }
}

/** The remark in front of the code tells a signal from an exit code of 128 + n. */
function recordText(exit: Exit): string {
  if ("code" in exit) return `exit ${String(exit.code)}\n`;
  const number = constants.signals[exit.signal as NodeJS.Signals] as number | undefined;
  return `${exit.signal}\nexit ${String(128 + (number ?? 0))}\n`;
}
