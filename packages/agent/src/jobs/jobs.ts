/**
 * The jobs of this host: the one door to everything in this folder. It owns the directory of job directories and what
 * is known about each job; it never holds output in memory, and disposing it leaves every job running.
 */
import { mkdirSync } from "node:fs";
import {
  type Clock,
  ErrorCode,
  type JobAcknowledgeParams,
  type JobId,
  type JobReadParams,
  type JobReadResult,
  type JobStartResult,
  type JobStatus,
  type JobStopParams,
  limits,
  OutpostError,
  type StreamName,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { Configurations } from "../configurations/index.ts";
import { hostPlatform, type Platform } from "../platform/index.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import type { InputSpool } from "./input-spool.ts";
import { Intake } from "./intake.ts";
import { type Asker, Job } from "./job.ts";
import type { StartRequest } from "./job-directory.ts";
import { JobStore } from "./job-store.ts";
import { OutputReader, type ReadSink } from "./output-reader.ts";
import { removalGaps } from "./removal-gaps.ts";
import { SessionIntake } from "./session-intake.ts";
import type { SessionShells } from "./session-shells.ts";
import type { JobLauncher } from "./launcher.ts";
import type { JobSettings } from "./settings.ts";
import { takeUpJobs } from "./taking-up.ts";

export type { InputSpool } from "./input-spool.ts";
export type { ReadSink } from "./output-reader.ts";

/** How often running jobs are looked at in case an event was not told, and limits are checked, in milliseconds. */
const runningTickMs = 1_000;
/** How often ages are checked while nothing runs, in milliseconds. */
const idleTickMs = 60_000;

export interface JobsOptions {
  /** The directory that holds one directory per job; made (0700) when it is not there. One process at a time. */
  readonly directory: string;
  /** Given to every job as `OUTPOST_HOST`. */
  readonly hostName: string;
  readonly settings: JobSettings;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: this host's. */
  readonly platform?: Platform;
  /** For jobs that run in sessions. Default: the host has none, and such jobs are refused. */
  readonly sessions?: SessionShells;
  /** What the host offers. Default: what every host does, and no more. */
  readonly configurations?: Configurations;
  /** Where files for other users go (handed-directory.ts). Default: no script runs as another user. */
  readonly handed?: string;
  /** Told once of each job that has ended, also of those that ended while no agent was there. */
  readonly ended?: (job: Job) => void;
  /** What starts processes. Default: a `Launcher`. */
  readonly launcher?: JobLauncher;
}

/** Who started a job that is or was here. */
export interface KnownJob extends Pick<Asker, "operator" | "collect"> {
  /** True: somebody on this host started it, and no operator. */
  readonly isLocal: boolean;
}

export class Jobs implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #store: JobStore;
  readonly #intake: Intake;
  readonly #sessionIntake: SessionIntake;
  readonly #acknowledgements: Acknowledgements;
  #cancelTick: (() => void) | undefined;
  /** The next tick is far away, because nothing runs. */
  #idle = false;
  #disposed = false;

  /** Adopts what runs and settles what ended, before it resolves. @throws when the directory cannot be used */
  static open(options: JobsOptions): Promise<Jobs> {
    return Promise.resolve().then(() => {
      mkdirSync(options.directory, { recursive: true, mode: 0o700 });
      const jobs = new Jobs(options);
      takeUpJobs(jobs.#store);
      jobs.#tick();
      return jobs;
    });
  }

  private constructor(options: JobsOptions) {
    this.#clock = options.clock;
    this.#store = new JobStore({ ...options, platform: options.platform ?? hostPlatform() });
    this.#intake = new Intake(this.#store);
    this.#sessionIntake = new SessionIntake(this.#store, this.#intake);
    this.#acknowledgements = new Acknowledgements(options.clock);
  }

  /**
   * Starts a job, unless a job of that id was ever started here: then says how that one stands.
   * Resolves when the job has ended, or after `inlineWaitMs`, or when `signal` aborts (the job goes on). In a session it
   * may still be `pending` then: it waits for its turn.
   * @throws OutpostError `limit_exceeded`, `disk_full`; `denied`, `not_found` and `invalid_argument` for what the host's
   * configurations do not offer; in a session also `not_found`, `conflict`, `invalid_argument` and
   * `busy`: nothing ran. A program that cannot be started is a job that
   * `failed` with reason `start_failed`; a start that came too late one with reason `expired`.
   */
  async start(params: StartRequest, signal?: AbortSignal): Promise<JobStartResult> {
    const inSession = params.spec.session !== undefined;
    if (inSession) await this.#sessionIntake.accepted(params.job);
    const held = this.#store.jobs.get(params.job) ?? this.#store.tombstones.find(params.job);
    if (held !== undefined && !(held instanceof Job)) return { status: held.status };
    const job = held ?? (inSession ? await this.#sessionIntake.accept(params) : this.#intake.accept(params));
    this.#tickSoon();
    if (!inSession) await this.#until(job, () => job.status().state !== "pending", undefined, signal);
    await this.#until(job, () => job.ended, params.inlineWaitMs, signal);
    return this.#startResult(job);
  }

  /**
   * Reads a job's streams from offsets, as far as each stream's credit goes; ends them, then resolves.
   * @throws OutpostError `not_found`; `disconnected` when a stream's connection ends; `cancelled` when `signal` aborts
   */
  async read(params: JobReadParams, sink: ReadSink, signal: AbortSignal): Promise<JobReadResult> {
    const job = this.#store.jobs.get(params.job);
    if (job !== undefined)
      return new OutputReader(job, this.#store.directory(job.id), params, sink, signal).run();
    const tombstone = this.#store.tombstones.find(params.job);
    if (tombstone === undefined) throw notFound(params.job);
    for (const { name, gap } of removalGaps(tombstone, params.from)) sink.gap(name, gap);
    return { status: tombstone.status };
  }

  /**
   * Records what was received; resolves when that is on disk. When a job has ended and all of it was received, its
   * directory goes. A job that ends after all of it was received stays until the next acknowledgement, which says that
   * its end was seen too. Jobs that are not there are ignored.
   * @throws OutpostError `disk_full`
   */
  async acknowledge({ job: id, received }: JobAcknowledgeParams): Promise<void> {
    const job = this.#store.jobs.get(id);
    if (job === undefined) return;
    const before = { ...job.received };
    job.acknowledged(received);
    if (job.ended && job.fullyReceived) return this.#store.forget(job, "received");
    if (before.stdout === job.received.stdout && before.stderr === job.received.stderr) return;
    await this.#acknowledgements.write(job, this.#store.directory(id));
  }

  /** The jobs of these ids as they stand, those removed included; unknown ones are left out. */
  status(ids: readonly JobId[]): JobStatus[] {
    const found = ids.map((id) => this.#store.status(id));
    return found.filter((status) => status !== undefined);
  }

  /** Who started a job, a removed one included; `undefined` when there was none of that id. */
  known(id: JobId): KnownJob | undefined {
    const job = this.#store.jobs.get(id);
    if (job !== undefined) return { ...job.asker, isLocal: job.origin !== undefined };
    const tombstone = this.#store.tombstones.find(id);
    if (tombstone === undefined) return undefined;
    const { operator, collect, status } = tombstone;
    return { operator, collect, isLocal: status.origin !== undefined };
  }

  /** What the directories of all jobs take, in bytes. */
  get diskBytes(): number {
    let total = 0;
    for (const job of this.#store.jobs.values()) total += job.diskBytes;
    return total;
  }

  /** Every job that is pending or running, or has ended and is not removed. */
  list(): JobStatus[] {
    return Array.from(this.#store.jobs.values(), (job) => job.status());
  }

  /**
   * Sends SIGTERM to all processes of the job, and SIGKILL after the grace. A job that has ended stays as it is. Of
   * several stops the first is the reason; a later one with a shorter grace makes it faster.
   * @throws OutpostError `not_found`
   */
  async stop({ job: id, operator, graceMs }: JobStopParams): Promise<JobStatus> {
    // As with one that is about to be launched, below.
    await this.#sessionIntake.accepted(id);
    const job = this.#store.jobs.get(id);
    const status = this.#store.status(id);
    if (status === undefined) throw notFound(id);
    if (job === undefined || job.ended) return status;
    // A job that is about to be launched is stopped right after.
    await this.#intake.launched;
    this.#store.running.get(id)?.stop("stopped", `stopped by ${operator}`, operator, graceMs);
    return job.status();
  }

  /** Forgets an ended job's output. Removing a job that is not there succeeds. @throws OutpostError `conflict` while it runs */
  async remove(id: JobId): Promise<void> {
    const job = this.#store.jobs.get(id);
    if (job === undefined) return;
    if (!job.ended) throw new OutpostError(ErrorCode.conflict, `job ${id} is still running; stop it first`);
    this.#store.forget(job, "removed");
  }

  /** The job's input, to be written to. @throws OutpostError `not_found`; `conflict` when its input is not a stream, or the job has ended */
  async input(id: JobId): Promise<InputSpool> {
    await this.#sessionIntake.accepted(id);
    const job = this.#store.jobs.get(id);
    if (job === undefined && !this.#store.tombstones.has(id)) throw notFound(id);
    await this.#intake.launched;
    return this.#store.spool(id);
  }

  /** Calls back at every change of state: started, main process ended, ended, and output gone for want of room or by age. Returns what takes the listener away. */
  onChanged(listener: (status: JobStatus) => void): () => void {
    return this.#store.onChanged(listener);
  }

  /** Lets go of everything; jobs run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cancelTick?.();
    await this.#intake.launched;
    this.#store.dispose();
  }

  #until(
    job: Job,
    condition: () => boolean,
    waitMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined {
    if (condition() || waitMs === 0 || signal?.aborted === true) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        unwatch();
        cancel?.();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const unwatch = job.watch(() => {
        if (condition()) done();
      });
      const cancel = waitMs === undefined ? undefined : this.#clock.after(waitMs, done);
      signal?.addEventListener("abort", done);
    });
  }

  async #startResult(job: Job): Promise<JobStartResult> {
    const { written, timelineBytes } = job;
    const short = written.stdout + written.stderr + timelineBytes <= limits.maxInlineOutputBytes;
    if (!job.ended || job.removed !== undefined || !short) return { status: job.status() };
    // Short and ended: all of it is in the tail, and no stream is opened.
    const from = { stdout: 0, stderr: 0, timeline: 0 };
    const params = { job: job.id, from, follow: false, window: limits.minWindowBytes };
    const sink = { open: unexpected, gap: () => {} };
    return new OutputReader(job, this.#store.directory(job.id), params, sink, neverAborted).run();
  }

  #tick(): void {
    for (const running of this.#store.running.values()) running.poll();
    this.#store.retention.expire();
    this.#store.retention.enforce();
    this.#store.tombstones.expire(this.#clock.now());
    this.#tickLater();
  }

  #tickLater(): void {
    this.#idle = this.#store.running.size === 0;
    this.#cancelTick = this.#clock.after(this.#idle ? idleTickMs : runningTickMs, () => this.#tick());
  }

  /** The first job after a pause shortens the wait. */
  #tickSoon(): void {
    if (!this.#idle) return;
    this.#idle = false;
    this.#cancelTick?.();
    this.#cancelTick = this.#clock.after(runningTickMs, () => this.#tick());
  }
}

const neverAborted = new AbortController().signal;

function unexpected(name: StreamName): never {
  throw new OutpostError(ErrorCode.internal, `a short ${name} was not sent inline`);
}

function notFound(id: JobId): OutpostError {
  return new OutpostError(ErrorCode.notFound, `there is no job ${id} on this host`);
}
