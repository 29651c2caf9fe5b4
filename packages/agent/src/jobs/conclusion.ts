/** From what is found of a job that is over to how it ended. Pure: the one place that decides between the final states. */
import type { EndReason, Exit } from "@outpost/protocol";
import type { ExitRecord } from "./exit-record.ts";
import type { EndRecord, StopRecord } from "./job-directory.ts";

export interface Evidence {
  readonly record: ExitRecord;
  /** The stop that was recorded before the job was over. */
  readonly stop?: StopRecord | undefined;
  /** The host was restarted since the job was started. */
  readonly rebooted: boolean;
  /** Why the shell could not execute the program, when its exit code says that. */
  readonly notStarted?: string | undefined;
  /** The disk was so full at the end that output may be missing. */
  readonly diskFull: boolean;
  /** What to say when there is no record, and the host was not restarted. Default: that the wrapper vanished. */
  readonly lost?: EndReason;
}

export type Conclusion = Pick<EndRecord, "state" | "exit" | "reason">;

/** Exit codes by which a shell says that it could not execute the program (POSIX XCU 2.8.2). */
export function saysNotStarted(record: ExitRecord): boolean {
  return (
    record.kind === "complete" &&
    "code" in record.exit &&
    (record.exit.code === 126 || record.exit.code === 127)
  );
}

export function conclude(evidence: Evidence): Conclusion {
  const { record, stop } = evidence;
  const exit = record.kind === "complete" ? { exit: record.exit } : {};
  // A stop kills on purpose, so it is the reason whatever record there is; without one the exit stays unknown.
  if (stop !== undefined && !(evidence.rebooted && record.kind !== "complete")) {
    return { state: stop.code === "stopped" ? "stopped" : "failed", ...exit, reason: stopReason(stop) };
  }
  if (record.kind !== "complete") return { state: "lost", reason: lostReason(record.kind, evidence) };
  if (evidence.notStarted !== undefined) {
    return { state: "failed", reason: { code: "start_failed", message: evidence.notStarted } };
  }
  return ended(record.exit, evidence.diskFull);
}

function ended(exit: Exit, diskFull: boolean): Conclusion {
  const reason = diskFull
    ? {
        reason: {
          code: "disk_full",
          message: "the host's disk was full when the job ended; output may be missing",
        } as const,
      }
    : {};
  return { state: "code" in exit && exit.code === 0 ? "completed" : "failed", exit, ...reason };
}

function stopReason(stop: StopRecord): EndReason {
  return { code: stop.code, message: stop.message, ...(stop.by === undefined ? {} : { by: stop.by }) };
}

function lostReason(kind: "empty" | "damaged", { rebooted, lost }: Evidence): EndReason {
  if (rebooted) return { code: "host_rebooted", message: "the host was restarted while the job ran" };
  if (kind === "damaged") {
    return { code: "record_damaged", message: "the job ended, but its exit record is damaged" };
  }
  return (
    lost ?? {
      code: "wrapper_vanished",
      message: "the process that watches the job disappeared without a record of how the job ended",
    }
  );
}
