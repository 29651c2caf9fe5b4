/** A job that has not ended, as the store and the limits see it: one in processes of its own, or one in a session's shell. */
import type { EndReasonCode } from "@outpost/protocol";
import type { ExitRecord } from "./exit-record.ts";
import type { Job } from "./job.ts";
import type { EndRecord, JobDirectory, SpecRecord } from "./job-directory.ts";
import type { OutputLog } from "./output-log.ts";

export interface WatchedJob {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly output: OutputLog;
  /** Where a streamed input is kept as it arrives. */
  readonly spool: "stdin" | "stdin.spool";
  /** The regular look; what events told is not there again. */
  poll(): void;
  /** Stops the job for a reason that is recorded first. A second stop keeps the first reason; it can only be faster. */
  stop(code: EndReasonCode, message: string, by?: string, graceMs?: number): void;
  /** Lets go of it; the job runs on. */
  dispose(): void;
}

/** A job that fills the disk has only this long between SIGTERM and SIGKILL, in milliseconds: it writes on meanwhile. */
export const limitGraceMs = 1_000;

/** How much a job may write, in bytes: the less of what the host and its configuration say. */
export function outputLimit(
  { maxOutputBytes = Infinity }: Pick<SpecRecord, "maxOutputBytes">,
  { maxOutputBytesPerJob }: { readonly maxOutputBytesPerJob: number },
): number {
  return Math.min(maxOutputBytes, maxOutputBytesPerJob);
}

/** Stops a job that has written more than `limit` bytes. */
export function enforceOutputLimit(watched: WatchedJob, limit: number): void {
  const { written } = watched.job;
  if (written.stdout + written.stderr <= limit) return;
  watched.stop(
    "output_limit",
    `it wrote more than the ${String(limit)} bytes that this host allows it`,
    undefined,
    limitGraceMs,
  );
}

/** What is known of a job that has ended. */
export interface Ending {
  readonly state: EndRecord["state"];
  readonly record: ExitRecord;
  /** Another agent process started it: its end was not told by an event. */
  readonly adopted: boolean;
  readonly now: number;
}

/** When a job was over, as exactly as is known: what was not seen is not made up. */
export function endTimeOf(
  { job, directory }: Pick<WatchedJob, "job" | "directory">,
  { state, record, adopted, now }: Ending,
): { endedAt?: number } {
  if (state === "lost") return {};
  // Held open or stopped, it was over when we saw so; else when its record was written.
  if (job.exit !== undefined || record.kind !== "complete") return { endedAt: now };
  return { endedAt: adopted ? directory.readExit().at : now };
}
