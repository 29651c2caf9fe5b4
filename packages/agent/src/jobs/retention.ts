/**
 * Keeps the jobs' disk use within its limits: quota of all jobs, free space, number and age of ended jobs.
 * The oldest ended jobs make room first; if that is not enough, the running job that grew most is stopped, and no new
 * one is started. Free space that something else takes is not a job's fault: a job that writes nothing is left alone.
 */
import { statfsSync } from "node:fs";
import { ErrorCode, OutpostError, type Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import { planEviction } from "./eviction.ts";
import type { Job } from "./job.ts";
import type { JobSettings } from "./settings.ts";
import { limitGraceMs, type WatchedJob } from "./watched-job.ts";

/** Growth of all jobs together after which the limits are checked without waiting for the next tick, in bytes. */
const checkEveryBytes = 8 * 1024 * 1024;
/** Below this much free space a write may have failed, in bytes. */
const fullBytes = 64 * 1024;
/** A check is good for a job's start for so long, in milliseconds, … */
const freshMs = 250;
/** … unless jobs have grown by so much since, in bytes. */
const freshBytes = 64 * 1024;

export interface RetentionOptions {
  readonly directory: string;
  readonly settings: JobSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly jobs: () => Iterable<Job>;
  readonly running: () => Iterable<WatchedJob>;
  readonly remove: (job: Job, cause: "evicted" | "removed") => void;
}

export class Retention {
  readonly #options: RetentionOptions;
  #grownBytes = 0;
  #checkedAtMs = -Infinity;
  #excessBytes = 0;
  readonly #writtenAtLastCheck = new WeakMap<Job, number>();

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Running jobs wrote so many bytes more. */
  grew(bytes: number): void {
    this.#grownBytes += bytes;
    if (this.#grownBytes >= checkEveryBytes) this.enforce();
  }

  /** Whether writes may have failed for want of space. */
  diskIsFull(): boolean {
    return this.#freeBytes() < fullBytes;
  }

  /** @throws OutpostError `disk_full` when there is no room for another `bytes` */
  checkRoom(bytes: number): void {
    const ageMs = this.#options.clock.monotonicMs() - this.#checkedAtMs;
    if (bytes > 0 || this.#excessBytes > 0 || ageMs > freshMs || this.#grownBytes > freshBytes)
      this.enforce();
    if (this.#excessBytes + bytes <= 0) return;
    const { minFreeBytes, maxTotalBytes } = this.#options.settings;
    throw new OutpostError(
      ErrorCode.diskFull,
      `the host's jobs take too much disk: at most ${String(maxTotalBytes)} bytes are allowed, and ${String(minFreeBytes)} must stay free`,
      { data: { maxTotalBytes, minFreeBytes, freeBytes: this.#freeBytes() } },
    );
  }

  /** Checks all limits now, and does what they demand. */
  enforce(): void {
    const { clock } = this.#options;
    this.#grownBytes = 0;
    this.#checkedAtMs = clock.monotonicMs();
    this.#makeRoom();
    this.#excessBytes = this.#excess();
    if (this.#excessBytes > 0) this.#stopWriter();
    for (const { job } of this.#options.running()) this.#writtenAtLastCheck.set(job, job.diskBytes);
  }

  /** Removes ended jobs that are too old. */
  expire(): void {
    const { jobs, settings, clock, remove } = this.#options;
    const tooOld = clock.now() - settings.maxJobAgeMs;
    // A Map may lose entries while it is walked.
    for (const job of jobs()) {
      if (job.ended && job.settledAt < tooOld) remove(job, "removed");
    }
  }

  #makeRoom(): void {
    const { jobs, settings, remove, log } = this.#options;
    const bytes = this.#excess();
    let count = 0;
    for (const job of jobs()) if (job.ended) count++;
    const excessCount = count - settings.maxEndedJobs;
    if (bytes <= 0 && excessCount <= 0) return;
    const ended = [...jobs()].filter((job) => job.ended);
    for (const job of planEviction(ended, { bytes, count: excessCount })) {
      log.warn({ job: job.id, bytes: job.diskBytes }, "an ended job made room");
      remove(job, "evicted");
    }
  }

  /** How many bytes too many there are; 0 or less when all is well. */
  #excess(): number {
    const { jobs, settings } = this.#options;
    let total = 0;
    for (const job of jobs()) total += job.diskBytes;
    return Math.max(total - settings.maxTotalBytes, settings.minFreeBytes - this.#freeBytes());
  }

  #freeBytes(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#options.directory);
      return bavail * bsize;
    } catch (error) {
      // The directory is gone, or its disk. That stops no job; starts fail by themselves.
      this.#options.log.error({ err: error }, "cannot see how much of the disk is free");
      return Infinity;
    }
  }

  #stopWriter(): void {
    const { running, log } = this.#options;
    let most: WatchedJob | undefined;
    let mostGrown = 0;
    for (const candidate of running()) {
      const grown = candidate.job.diskBytes - (this.#writtenAtLastCheck.get(candidate.job) ?? smallestBytes);
      if (grown <= mostGrown) continue;
      most = candidate;
      mostGrown = grown;
    }
    if (most === undefined) return;
    log.warn({ job: most.job.id, grown: mostGrown }, "stopping a job: the disk limits are reached");
    most.stop(
      "disk_full",
      "the host's disk ran short, and this job was writing most",
      undefined,
      limitGraceMs,
    );
  }
}

/** What a job that wrote nothing counts with. */
const smallestBytes = 64 * 1024;
