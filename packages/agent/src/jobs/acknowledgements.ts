/** Writes received positions to disk, several acknowledgements of a job at once. */
import { OutpostError, ErrorCode, type Clock } from "@outpost/protocol";
import type { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";

/** How long an acknowledgement waits for others, in milliseconds. */
const delayMs = 5;

interface Batch {
  readonly done: Promise<void>;
}

export class Acknowledgements {
  readonly #clock: Clock;
  readonly #batches = new Map<Job, Batch>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when the job's received positions as they are now are on disk. @throws OutpostError `disk_full` */
  write(job: Job, directory: JobDirectory): Promise<void> {
    const waiting = this.#batches.get(job);
    if (waiting !== undefined) return waiting.done;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#batches.set(job, { done: promise });
    this.#clock.after(delayMs, () => {
      this.#batches.delete(job);
      try {
        if (job.removed === undefined) directory.writeReceived({ ...job.received });
        resolve();
      } catch (cause) {
        reject(
          new OutpostError(ErrorCode.diskFull, "cannot record what was received: the disk is full", {
            cause,
          }),
        );
      }
    });
    return promise;
  }
}
