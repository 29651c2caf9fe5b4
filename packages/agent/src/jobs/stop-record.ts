/** Records that a job is being stopped, before anything is signalled: whoever finds the job later knows who it was. */
import type { Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import type { JobDirectory, StopRecord } from "./job-directory.ts";

export interface Stop {
  readonly code: StopRecord["code"];
  readonly message: string;
  readonly by: string | undefined;
  readonly graceMs: number;
}

export function recordStop(
  directory: JobDirectory,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  { code, message, by, graceMs }: Stop,
): StopRecord {
  const record: StopRecord = {
    at: clock.now(),
    graceMs,
    code,
    message,
    ...(by === undefined ? {} : { by }),
  };
  try {
    directory.writeStop(record);
  } catch (error) {
    // Better a stop that a crash of ours would misattribute than a job that cannot be stopped on a full disk.
    log.warn({ job: directory.job, err: error }, "cannot record the stop of a job");
  }
  return record;
}
