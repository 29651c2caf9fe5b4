/** What a command that waits for a job, or receives one, exits with: as `outpost` does for a job of one host. */
import { constants } from "node:os";
import type { JobStatus } from "@outpost/protocol";
import { ExitCode } from "./exit-code.ts";

/** Added to a signal's number, as shells do (POSIX XCU 2.8.2). */
const signalBase = 128;

const signalNumbers: Readonly<Record<string, number | undefined>> = constants.signals;

/** A job that goes on counts as success: nothing has failed. */
export function jobExitCode({ state, exit, reason }: JobStatus): number {
  switch (state) {
    case "pending":
    case "running":
    case "completed":
      return ExitCode.ok;
    case "lost":
      return ExitCode.unknown;
    case "failed":
      return reason?.code === "timed_out" ? ExitCode.timedOut : ownExitCode(exit);
    case "stopped":
      return ownExitCode(exit);
    default:
      return state satisfies never;
  }
}

/** The program's own, where it has one; a failure without one is not 0. */
function ownExitCode(exit: JobStatus["exit"]): number {
  if (exit === undefined) return ExitCode.failed;
  if ("signal" in exit) return signalBase + (signalNumbers[exit.signal] ?? 0);
  return exit.code === 0 ? ExitCode.failed : exit.code;
}
