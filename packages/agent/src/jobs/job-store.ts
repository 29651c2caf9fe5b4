/**
 * The jobs that this host holds, and what happens to them at their end: settled, recorded, told, forgotten. Everything
 * that is known of a job comes through here, so nothing else changes a job's state.
 */
import {
  type Clock,
  type EndReason,
  ErrorCode,
  type JobId,
  type JobStatus,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { Configurations } from "../configurations/index.ts";
import { removeHanded } from "../handed-directory.ts";
import type { Platform } from "../platform/index.ts";
import { jobMarks } from "./environment.ts";
import { SpoolFile } from "./input-spool.ts";
import { Job } from "./job.ts";
import { type EndRecord, JobDirectory, type StartRequest } from "./job-directory.ts";
import { removeDirectory } from "./removal.ts";
import { Retention } from "./retention.ts";
import { RunningJob, type RunningJobContext, type RunningJobOptions } from "./running-job.ts";
import { SessionJob, type SessionJobOptions } from "./session-job.ts";
import type { SessionShells } from "./session-shells.ts";
import type { JobLauncher } from "./launcher.ts";
import type { JobSettings } from "./settings.ts";
import { type Tombstone, Tombstones } from "./tombstones.ts";
import type { WatchedJob } from "./watched-job.ts";
import { WriteBehind } from "./write-behind.ts";

export interface JobStoreOptions {
  readonly directory: string;
  readonly hostName: string;
  readonly settings: JobSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly platform: Platform;
  /** Default: the host has no sessions, and jobs in sessions are refused. */
  readonly sessions?: SessionShells;
  /** Default: the host offers what every host does, and no more. */
  readonly configurations?: Configurations;
  /** Where files for other users go (handed-directory.ts). Default: nothing can be handed over. */
  readonly handed?: string;
  /** Told once of each job that has ended, also of those that ended while no agent was there. */
  readonly ended?: (job: Job) => void;
  /** What starts processes. Default: a `Launcher`. */
  readonly launcher?: JobLauncher;
}

export class JobStore {
  /** Every job that is pending or running, or has ended and is not removed. */
  readonly jobs = new Map<JobId, Job>();
  /** Every job that has not ended, but for those that are not launched yet. */
  readonly running = new Map<JobId, WatchedJob>();
  readonly tombstones: Tombstones;
  readonly retention: Retention;
  readonly options: JobStoreOptions;
  readonly #spools = new Map<JobId, SpoolFile>();
  readonly #streamed = new Set<JobId>();
  readonly #listeners = new Set<(status: JobStatus) => void>();
  readonly #writeBehind: WriteBehind;
  readonly #context: RunningJobContext;

  constructor(options: JobStoreOptions) {
    const { clock, log, settings, directory, platform } = options;
    this.options = options;
    this.tombstones = new Tombstones(directory, settings);
    this.#writeBehind = new WriteBehind(clock, log);
    this.retention = new Retention({
      directory,
      settings,
      clock,
      log,
      jobs: () => this.jobs.values(),
      running: () => this.running.values(),
      remove: (job, cause) => this.forget(job, cause),
    });
    this.#context = {
      platform,
      clock,
      log,
      defaultGraceMs: settings.defaultGraceMs,
      maxOutputBytesPerJob: settings.maxOutputBytesPerJob,
      diskIsFull: () => this.retention.diskIsFull(),
      grew: (job, timeline, bytes) => {
        this.#writeBehind.timeline(job, timeline);
        this.retention.grew(bytes);
      },
      changed: (job) => this.changed(job),
      settled: (running, end) => this.#settled(running, end),
    };
  }

  directory(id: JobId): JobDirectory {
    return new JobDirectory(this.options.directory, id);
  }

  /** How a job stands, one that was removed included. */
  status(id: JobId): JobStatus | undefined {
    return this.jobs.get(id)?.status() ?? this.tombstones.find(id)?.status;
  }

  /** What marks all processes of a job in their environment. */
  marks(id: JobId): readonly [string, string] {
    return jobMarks(id, this.options.hostName);
  }

  /** A job's process is there: watches over it from now on. @throws when its files cannot be opened */
  watch(options: Omit<RunningJobOptions, "marks">, streamed: boolean): RunningJob {
    const { job } = options;
    const running = new RunningJob({ ...options, marks: this.marks(job.id) }, this.#context);
    this.running.set(job.id, running);
    if (streamed) this.#streamed.add(job.id);
    job.started(options.process.startedAt);
    return running;
  }

  /** A job that a session is, or was, asked for: watches over it from now on. @throws as `watch` */
  watchInSession(options: SessionJobOptions, streamed: boolean): SessionJob {
    const { job } = options;
    const running = new SessionJob(options, this.#context);
    this.running.set(job.id, running);
    if (streamed) this.#streamed.add(job.id);
    return running;
  }

  /** Nothing ran, and whoever asked for it is told so: nothing is left of it. */
  withdraw(job: Job, reason: EndReason): void {
    this.running.delete(job.id);
    this.#spools.delete(job.id);
    this.#streamed.delete(job.id);
    this.jobs.delete(job.id);
    job.end({ state: "failed", reason, written: { ...job.written }, settledAt: this.options.clock.now() });
    job.forget("removed");
    this.takeBack(job.id);
    removeDirectory(this.directory(job.id).path);
  }

  /** @throws OutpostError `conflict` when the job has ended, or takes no streamed input */
  spool(id: JobId): SpoolFile {
    const running = this.running.get(id);
    if (running === undefined) throw conflict(`job ${id} has ended and reads no more input`);
    if (!this.#streamed.has(id)) throw conflict(`job ${id} takes no streamed input`);
    const open = this.#spools.get(id);
    if (open !== undefined) return open;
    const { job, directory } = running;
    const spool = new SpoolFile({
      job,
      directory,
      name: running.spool,
      checkRoom: (bytes) => this.retention.checkRoom(bytes),
      stop: (message) => running.stop("stopped", message),
    });
    this.#spools.set(id, spool);
    return spool;
  }

  /** It ended without ever being watched. */
  endedUnwatched(job: Job, end: EndRecord): void {
    job.end(end);
    this.takeBack(job.id);
    try {
      this.directory(job.id).writeEnd(job.endRecord());
    } catch (error) {
      this.options.log.warn({ job: job.id, err: error }, "cannot record how a job ended");
    }
    this.options.ended?.(job);
    this.changed(job);
  }

  /** Nothing ran, and nothing of it is kept but the answer. */
  refused({ job: id, operator, request }: StartRequest, reason: EndReason, now: number): Job {
    const job = new Job(id, undefined, { operator, request });
    job.end({ state: "failed", reason, written: { stdout: 0, stderr: 0 }, settledAt: now });
    job.forget("removed");
    this.tombstones.add({ at: now, cause: "removed", status: job.status(), operator });
    this.options.ended?.(job);
    return job;
  }

  /** Of a job that was here nothing is left but its id. */
  gone(id: JobId, reason: EndReason): void {
    const now = this.options.clock.now();
    const job = new Job(id);
    job.end({ state: "lost", reason, written: { stdout: 0, stderr: 0 }, settledAt: now });
    job.forget("removed");
    this.tombstones.add({ at: now, cause: "removed", status: job.status() });
    this.options.ended?.(job);
  }

  /** Removes an ended job; its final status is remembered. */
  forget(job: Job, cause: Tombstone["cause"]): void {
    const { operator, collect } = job.asker;
    const status = { ...job.status(), removed: true };
    const tombstone = { at: this.options.clock.now(), cause, status, operator, collect };
    // First the tombstone: a crash in between leaves a directory that is known to be removed.
    const recorded = this.#bury(tombstone, "its directory goes first");
    const { diskBytes } = job;
    job.forget(cause);
    this.jobs.delete(job.id);
    removeDirectory(this.directory(job.id).path, recorded ? diskBytes : 0);
    // On a full disk there is room for it only now.
    if (!recorded) this.#bury(tombstone, "the job is forgotten");
    // Who received a job on this host, received it from nobody who would tell the controller.
    if (cause === "evicted" || cause === "removed" || job.origin !== undefined) this.changed(job);
  }

  changed(job: Job): void {
    const status = job.status();
    for (const listener of this.#listeners) listener(status);
  }

  onChanged(listener: (status: JobStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets go of everything; jobs run on. */
  dispose(): void {
    for (const running of this.running.values()) running.dispose();
    this.#writeBehind.dispose();
    this.tombstones.close();
    this.#listeners.clear();
  }

  /** Takes back what a job that is over was handed; what it wrote is in its directory, too. */
  takeBack(id: string): void {
    const { handed, log } = this.options;
    if (handed === undefined) return;
    try {
      removeHanded(handed, "jobs", id);
    } catch (error) {
      log.warn({ job: id, err: error }, "cannot take back what a job was handed");
    }
  }

  #settled(running: WatchedJob, end: EndRecord): void {
    const { job, directory } = running;
    this.running.delete(job.id);
    this.#spools.delete(job.id);
    this.#streamed.delete(job.id);
    job.end(end);
    this.takeBack(job.id);
    this.#writeBehind.end(job, directory, running.output.timeline);
    // What no other file says must not be concluded anew.
    if (end.state === "lost") job.unwritten?.flush();
    this.options.ended?.(job);
    this.changed(job);
  }

  #bury(tombstone: Tombstone, otherwise: string): boolean {
    try {
      this.tombstones.add(tombstone);
      return true;
    } catch (error) {
      const { job } = tombstone.status;
      this.options.log.warn({ job, err: error }, `cannot record the removal of a job; ${otherwise}`);
      return false;
    }
  }
}

function conflict(message: string): OutpostError {
  return new OutpostError(ErrorCode.conflict, message);
}
