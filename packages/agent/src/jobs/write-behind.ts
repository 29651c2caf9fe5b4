/**
 * Writes what can wait: how a job ended (its exit record says it too) and short timelines. Most short jobs are received
 * and removed before, and then cost no more files.
 */
import type { Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Job, Unwritten } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
import type { Timeline } from "./timeline.ts";

const delayMs = 200;
/** How long to wait when the disk is full, in milliseconds. */
const retryMs = 5_000;

export class WriteBehind {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<Job>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** A running job's timeline has records in memory. */
  timeline(job: Job, timeline: Timeline): void {
    if (job.unwritten === undefined && timeline.hasWaiting) this.#add(job, timeline, () => timeline.flush());
  }

  /** A job has ended; its record and the rest of its timeline are to be written. */
  end(job: Job, directory: JobDirectory, timeline: Timeline): void {
    const record = job.endRecord();
    this.#add(job, timeline, () => {
      timeline.flush();
      directory.writeEnd(record);
    });
  }

  /** Writes everything now. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const job of this.#waiting) {
      job.unwritten?.flush();
      // On a full disk it stays. A job that was removed has nothing to write any more.
      if (job.unwritten === undefined) this.#waiting.delete(job);
    }
    if (this.#waiting.size > 0) this.#cancel = this.#clock.after(retryMs, () => this.flush());
  }

  dispose(): void {
    this.flush();
    this.#cancel?.();
  }

  #add(job: Job, timeline: Timeline, write: () => void): void {
    const unwritten: Unwritten = {
      timeline: () => timeline.unwritten,
      flush: () => {
        try {
          write();
          if (job.unwritten === unwritten) job.unwritten = undefined;
        } catch (error) {
          this.#log.warn({ job: job.id, err: error }, "cannot write a job's records");
        }
      },
    };
    job.unwritten = unwritten;
    this.#waiting.add(job);
    this.#cancel ??= this.#clock.after(delayMs, () => this.flush());
  }
}
