/**
 * What the wrapper leaves in the `exit` file:
 *
 *     { [remarks of the shell, each a line]  again N \n }  [remarks]  exit N \n  [spaces]
 *
 * It counts only when the last line is complete. `again` stands for a run that failed and was retried.
 */
import { constants } from "node:os";
import type { Exit } from "@outpost/protocol";

/** More than any record has, with all that shells may remark in front of it, in bytes. In a session whose shell is another
 * user's, that user may write there. */
export const maxExitBytes = 64 * 1024;

export type ExitRecord =
  | { readonly kind: "complete"; readonly exit: Exit }
  /** Nothing was written: the wrapper is still there, or vanished. */
  | { readonly kind: "empty" }
  /** Something was written, but not a whole record. */
  | { readonly kind: "damaged" };

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
// Two names have one number each on Linux; these are the ones that people know.
signalNames.set(constants.signals.SIGABRT, "SIGABRT");
signalNames.set(constants.signals.SIGIO, "SIGIO");

/** Added to a signal's number by POSIX shells (XCU 2.8.2). */
const signalBase = 128;

/** Reads the content of an exit file. */
export function parseExitRecord(content: Uint8Array): ExitRecord {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("latin1");
  const last = lastRun(text);
  const match = /^((?:[^\n]*\n)*)exit (\d{1,3})\n[ \0]*$/.exec(last);
  if (match === null) return { kind: last.trim() === "" ? "empty" : "damaged" };
  const code = Number(match[2]);
  if (code > 255) return { kind: "damaged" };
  return { kind: "complete", exit: interpret(code, match[1]!.trim() !== "") };
}

const retried = /^again \d{1,3}\n/gm;

/** How often the job was run, the run that goes on included. */
export function countRuns(content: Uint8Array): number {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("latin1");
  return (text.match(retried)?.length ?? 0) + 1;
}

/** What was written since the last run began. */
function lastRun(text: string): string {
  let begin = 0;
  for (const match of text.matchAll(retried)) begin = match.index + match[0].length;
  return text.slice(begin);
}

/**
 * Shells are silent about SIGINT and SIGPIPE, so 130 and 141 without a remark stay exit codes: that is what they are
 * whenever the main process is a shell that says so of one of its own commands.
 */
function interpret(code: number, remarked: boolean): Exit {
  const signal = signalNames.get(code - signalBase);
  return remarked && code > signalBase && signal !== undefined ? { signal } : { code };
}
