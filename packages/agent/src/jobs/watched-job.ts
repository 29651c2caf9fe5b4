/** A job that has not ended, as the store and the limits see it: one in processes of its own, or one in a session's shell. */
import type { EndReasonCode } from "@outpost/protocol";
import type { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
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
