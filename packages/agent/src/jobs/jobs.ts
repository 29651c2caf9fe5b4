/**
 * The jobs of this host: the one door to everything in this folder. It owns the directory of job directories and what
 * is known about each job; it never holds output in memory, and disposing it leaves every job running.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type Clock,
  ErrorCode,
  JobId,
  type JobAcknowledgeParams,
  type JobReadParams,
  type JobReadResult,
  type JobStartParams,
  type JobStartResult,
  type JobStatus,
  type JobStopParams,
  limits,
  OutpostError,
  type StreamName,
} from "@outpost/protocol";
import type { Logger } from "pino";
import * as v from "valibot";
import { hostPlatform, type Platform } from "../platform/index.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { Adoption } from "./adoption.ts";
import { jobMarks } from "./environment.ts";
import { type InputSpool, SpoolFile } from "./input-spool.ts";
import { Job } from "./job.ts";
import { type EndRecord, JobDirectory, type ProcessRecord, type SpecRecord } from "./job-directory.ts";
import { checkArguments, Launcher } from "./launcher.ts";
import { OutputReader, type ReadSink } from "./output-reader.ts";
import { removalGaps } from "./removal-gaps.ts";
import { removeDirectory } from "./removal.ts";
import { Retention } from "./retention.ts";
import { RunningJob, type RunningJobContext } from "./running-job.ts";
import type { JobSettings } from "./settings.ts";
import { type Tombstone, Tombstones } from "./tombstones.ts";
import { WriteBehind } from "./write-behind.ts";

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
}

export class Jobs implements AsyncDisposable {
  readonly #options: JobsOptions;
  readonly #platform: Platform;
  readonly #jobs = new Map<JobId, Job>();
  readonly #running = new Map<JobId, RunningJob>();
  readonly #spools = new Map<JobId, SpoolFile>();
  readonly #streamed = new Set<JobId>();
  readonly #listeners = new Set<(status: JobStatus) => void>();
  readonly #tombstones: Tombstones;
  readonly #launcher: Launcher;
  readonly #retention: Retention;
  readonly #writeBehind: WriteBehind;
  readonly #acknowledgements: Acknowledgements;
  readonly #context: RunningJobContext;
  /** Jobs are launched one after the other, each in its own turn: a burst of them must not silence the heartbeat. */
  #launches: Promise<void> = Promise.resolve();
  #cancelTick: (() => void) | undefined;
  #disposed = false;

  /** Adopts what runs and settles what ended, before it resolves. @throws when the directory cannot be used */
  static open(options: JobsOptions): Promise<Jobs> {
    return Promise.resolve().then(() => {
      mkdirSync(options.directory, { recursive: true, mode: 0o700 });
      const jobs = new Jobs(options);
      jobs.#adoptAll();
      jobs.#tick();
      return jobs;
    });
  }

  private constructor(options: JobsOptions) {
    const { clock, log, settings, directory, hostName } = options;
    this.#options = options;
    this.#platform = options.platform ?? hostPlatform();
    this.#tombstones = new Tombstones(directory, settings);
    this.#launcher = new Launcher(this.#platform, clock, hostName);
    this.#writeBehind = new WriteBehind(clock, log);
    this.#acknowledgements = new Acknowledgements(clock);
    this.#retention = new Retention({
      directory,
      settings,
      clock,
      log,
      jobs: () => this.#jobs.values(),
      running: () => this.#running.values(),
      remove: (job, cause) => this.#forget(job, cause),
    });
    this.#context = {
      platform: this.#platform,
      clock,
      log,
      defaultGraceMs: settings.defaultGraceMs,
      maxOutputBytesPerJob: settings.maxOutputBytesPerJob,
      diskIsFull: () => this.#retention.diskIsFull(),
      grew: (job, timeline, bytes) => {
        this.#writeBehind.timeline(job, timeline);
        this.#retention.grew(bytes);
      },
      changed: (job) => this.#changed(job),
      settled: (running, end) => this.#settled(running, end),
    };
  }

  /**
   * Starts a job, unless a job of that id was ever started here: then says how that one stands.
   * Resolves when the job has ended, or after `inlineWaitMs`, or when `signal` aborts (the job goes on).
   * @throws OutpostError `limit_exceeded`, `disk_full`: nothing ran. A program that cannot be started is a job that
   * `failed` with reason `start_failed`; a start that came too late one with reason `expired`.
   */
  async start(params: JobStartParams, signal?: AbortSignal): Promise<JobStartResult> {
    const held = this.#jobs.get(params.job) ?? this.#tombstones.find(params.job);
    if (held !== undefined && !(held instanceof Job)) return { status: held.status };
    const job = held ?? this.#accept(params);
    await this.#until(job, () => job.status().state !== "pending", undefined, signal);
    await this.#until(job, () => job.ended, params.inlineWaitMs, signal);
    return this.#startResult(job);
  }

  /**
   * Reads a job's streams from offsets, as far as each stream's credit goes; ends them, then resolves.
   * @throws OutpostError `not_found`; `disconnected` when a stream's connection ends; `cancelled` when `signal` aborts
   */
  async read(params: JobReadParams, sink: ReadSink, signal: AbortSignal): Promise<JobReadResult> {
    const job = this.#jobs.get(params.job);
    if (job !== undefined) return new OutputReader(job, this.#directory(job.id), params, sink, signal).run();
    const tombstone = this.#tombstones.find(params.job);
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
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    const before = { ...job.received };
    job.acknowledged(received);
    if (job.ended && job.fullyReceived) return this.#forget(job, "received");
    if (before.stdout === job.received.stdout && before.stderr === job.received.stderr) return;
    await this.#acknowledgements.write(job, this.#directory(id));
  }

  /** The jobs of these ids as they stand, those removed included; unknown ones are left out. */
  status(ids: readonly JobId[]): JobStatus[] {
    const found = ids.map((id) => this.#jobs.get(id)?.status() ?? this.#tombstones.find(id)?.status);
    return found.filter((status) => status !== undefined);
  }

  /** Every job that is pending or running, or has ended and is not removed. */
  list(): JobStatus[] {
    return Array.from(this.#jobs.values(), (job) => job.status());
  }

  /**
   * Sends SIGTERM to all processes of the job, and SIGKILL after the grace. A job that has ended stays as it is. Of
   * several stops the first is the reason; a later one with a shorter grace makes it faster.
   * @throws OutpostError `not_found`
   */
  async stop({ job: id, operator, graceMs }: JobStopParams): Promise<JobStatus> {
    const job = this.#jobs.get(id);
    const status = job?.status() ?? this.#tombstones.find(id)?.status;
    if (status === undefined) throw notFound(id);
    if (job === undefined || job.ended) return status;
    // A job that is about to be launched is stopped right after.
    await this.#launches;
    this.#running.get(id)?.stop("stopped", `stopped by ${operator}`, operator, graceMs);
    return job.status();
  }

  /** Forgets an ended job's output. Removing a job that is not there succeeds. @throws OutpostError `conflict` while it runs */
  async remove(id: JobId): Promise<void> {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    if (!job.ended) throw new OutpostError(ErrorCode.conflict, `job ${id} is still running; stop it first`);
    this.#forget(job, "removed");
  }

  /** The job's input, to be written to. @throws OutpostError `not_found`; `conflict` when its input is not a stream, or the job has ended */
  async input(id: JobId): Promise<InputSpool> {
    const job = this.#jobs.get(id);
    if (job === undefined && !this.#tombstones.has(id)) throw notFound(id);
    await this.#launches;
    const running = this.#running.get(id);
    if (running === undefined)
      throw new OutpostError(ErrorCode.conflict, `job ${id} has ended and reads no more input`);
    if (!this.#streamed.has(id))
      throw new OutpostError(ErrorCode.conflict, `job ${id} takes no streamed input`);
    return this.#spool(running);
  }

  /** Calls back at every change of state: started, main process ended, ended, and output gone for want of room or by age. Returns what takes the listener away. */
  onChanged(listener: (status: JobStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets go of everything; jobs run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cancelTick?.();
    await this.#launches;
    for (const running of this.#running.values()) running.dispose();
    this.#writeBehind.dispose();
    this.#tombstones.close();
    this.#listeners.clear();
  }

  #directory(id: JobId): JobDirectory {
    return new JobDirectory(this.#options.directory, id);
  }

  // ---------------------------------------------------------------------------------------------- starting

  /** @throws OutpostError `limit_exceeded`, `disk_full` */
  #accept(params: JobStartParams): Job {
    const { clock } = this.#options;
    const now = clock.now();
    const job = new Job(params.job);
    if (params.expiresAt < now) {
      const message = "the request to start it reached the host after it had expired; nothing ran";
      this.#refuse(job, { code: "expired", message }, now);
      return job;
    }
    this.#checkLimits(params);
    const directory = this.#directory(job.id);
    try {
      this.#make(directory, params, now);
    } catch {
      // The disk filled up just now: perhaps ended jobs can make room.
      this.#retention.enforce();
      this.#make(directory, params, now);
    }
    this.#jobs.set(job.id, job);
    this.#launches = this.#launches.then(() => this.#launch(job, directory, params)).then(() => nextTurn());
    return job;
  }

  /** @throws OutpostError `disk_full`; nothing is left behind */
  #make(directory: JobDirectory, params: JobStartParams, now: number): void {
    try {
      directory.create();
      directory.writeSpec(params, now, this.#platform.bootId);
    } catch (error) {
      removeDirectory(directory.path);
      throw fileError(error);
    }
  }

  #checkLimits({ spec }: JobStartParams): void {
    const { maxRunningJobs } = this.#options.settings;
    checkArguments(spec);
    let pending = 0;
    for (const job of this.#jobs.values()) if (!job.ended) pending++;
    if (pending >= maxRunningJobs) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `the host runs ${String(pending)} jobs already, and its limit (maxRunningJobs) is ${String(maxRunningJobs)}`,
        { data: { limit: "maxRunningJobs", value: maxRunningJobs } },
      );
    }
    this.#retention.checkRoom(0);
  }

  async #launch(job: Job, directory: JobDirectory, params: JobStartParams): Promise<void> {
    const { spec } = params;
    try {
      const launched = await this.#launcher.launch(directory, params);
      const { process, files } = launched;
      const marks = jobMarks(job.id, this.#options.hostName);
      const running = new RunningJob({ job, directory, process, spec, marks, files }, this.#context);
      this.#running.set(job.id, running);
      if (spec.input.kind === "stream") this.#streamed.add(job.id);
      if (spec.input.kind === "inline") job.inputBytes = spec.input.bytes.byteLength;
      job.started(process.startedAt);
      this.#changed(job);
      running.begin();
      launched.onExit(() => running.wrapperExited());
      launched.onFeederDied(() => running.stop("stopped", "the process that feeds its input died"));
      this.#tickSoon();
    } catch (error) {
      const { message } = OutpostError.from(error);
      this.#endedWithout(job, directory, {
        state: "failed",
        reason: { code: "start_failed", message },
        written: { stdout: 0, stderr: 0 },
        settledAt: this.#options.clock.now(),
      });
    }
  }

  /** Nothing ran, and nothing of it is kept but the answer. */
  #refuse(job: Job, reason: NonNullable<EndRecord["reason"]>, now: number): void {
    job.end({ state: "failed", reason, written: { stdout: 0, stderr: 0 }, settledAt: now });
    job.forget("removed");
    this.#tombstones.add({ at: now, cause: "removed", status: job.status() });
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
      const cancel = waitMs === undefined ? undefined : this.#options.clock.after(waitMs, done);
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
    return new OutputReader(job, this.#directory(job.id), params, sink, neverAborted).run();
  }

  // ---------------------------------------------------------------------------------------------- adopting

  #adoptAll(): void {
    const { directory, clock, hostName, log } = this.#options;
    const adoption = new Adoption(this.#platform, hostName);
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const id = v.safeParse(JobId, entry.name);
      if (!entry.isDirectory() || !id.success) continue;
      try {
        this.#adopt(this.#directory(id.output), adoption, clock.now());
      } catch (error) {
        log.error({ job: entry.name, err: error }, "cannot take up a job");
      }
    }
  }

  #adopt(directory: JobDirectory, adoption: Adoption, now: number): void {
    // It was being removed when the agent ended.
    if (this.#tombstones.has(directory.job)) return removeDirectory(directory.path);
    const job = new Job(directory.job);
    job.inputBytes = directory.sizeOf("stdin");
    const ended = directory.readEnd();
    if (ended !== undefined) {
      job.timelineBytes = directory.sizeOf("timeline");
      job.end(ended);
    }
    const finding = ended === undefined ? adoption.examine(directory, now) : undefined;
    if (finding?.kind === "nothing") return removeDirectory(directory.path);
    this.#jobs.set(job.id, job);
    switch (finding?.kind) {
      case undefined:
        break;
      case "ended":
        this.#endedWithout(job, directory, finding.end);
        break;
      case "running":
        this.#takeUp(job, directory, finding.process, finding.spec);
        break;
    }
    const received = directory.readReceived();
    if (received !== undefined) job.acknowledged(received);
  }

  #takeUp(job: Job, directory: JobDirectory, process: ProcessRecord, spec: Partial<SpecRecord>): void {
    const marks = jobMarks(job.id, this.#options.hostName);
    try {
      const running = new RunningJob({ job, directory, process, spec, marks }, this.#context);
      this.#running.set(job.id, running);
      if (spec.streamed === true) this.#streamed.add(job.id);
      job.started(process.startedAt);
      running.adopt();
    } catch (error) {
      this.#options.log.error({ job: job.id, err: error }, "the directory of a job is damaged");
      this.#running.delete(job.id);
      this.#endedWithout(job, directory, {
        state: "lost",
        startedAt: process.startedAt,
        reason: { code: "record_damaged", message: "files of the job's directory are missing or damaged" },
        written: { ...job.written },
        settledAt: this.#options.clock.now(),
      });
    }
  }

  // ---------------------------------------------------------------------------------------------- ending

  #settled(running: RunningJob, end: EndRecord): void {
    const { job, directory } = running;
    this.#running.delete(job.id);
    this.#spools.delete(job.id);
    this.#streamed.delete(job.id);
    job.end(end);
    this.#writeBehind.end(job, directory, running.output.timeline);
    // What no other file says must not be concluded anew.
    if (end.state === "lost") job.unwritten?.flush();
    this.#changed(job);
  }

  /** It ended without ever being watched. */
  #endedWithout(job: Job, directory: JobDirectory, end: EndRecord): void {
    job.end(end);
    try {
      directory.writeEnd(end);
    } catch (error) {
      this.#options.log.warn({ job: job.id, err: error }, "cannot record how a job ended");
    }
    this.#changed(job);
  }

  #forget(job: Job, cause: Tombstone["cause"]): void {
    const tombstone = { at: this.#options.clock.now(), cause, status: { ...job.status(), removed: true } };
    // First the tombstone: a crash in between leaves a directory that is known to be removed.
    const recorded = this.#bury(tombstone, "its directory goes first");
    const { diskBytes } = job;
    job.forget(cause);
    this.#jobs.delete(job.id);
    removeDirectory(this.#directory(job.id).path, recorded ? diskBytes : 0);
    // On a full disk there is room for it only now.
    if (!recorded) this.#bury(tombstone, "the job is forgotten");
    if (cause === "evicted" || cause === "removed") this.#changed(job);
  }

  #bury(tombstone: Tombstone, otherwise: string): boolean {
    try {
      this.#tombstones.add(tombstone);
      return true;
    } catch (error) {
      const { job } = tombstone.status;
      this.#options.log.warn({ job, err: error }, `cannot record the removal of a job; ${otherwise}`);
      return false;
    }
  }

  #changed(job: Job): void {
    const status = job.status();
    for (const listener of this.#listeners) listener(status);
  }

  #spool(running: RunningJob): SpoolFile {
    const { job, directory } = running;
    const spool =
      this.#spools.get(job.id) ??
      new SpoolFile({
        job,
        directory,
        checkRoom: (bytes) => this.#retention.checkRoom(bytes),
        stop: (message) => running.stop("stopped", message),
      });
    this.#spools.set(job.id, spool);
    return spool;
  }

  // ---------------------------------------------------------------------------------------------- time

  #tick(): void {
    for (const running of this.#running.values()) running.poll();
    this.#retention.expire();
    this.#retention.enforce();
    this.#tombstones.expire(this.#options.clock.now());
    this.#tickLater();
  }

  #tickLater(): void {
    const delayMs = this.#running.size > 0 ? runningTickMs : idleTickMs;
    this.#cancelTick = this.#options.clock.after(delayMs, () => this.#tick());
  }

  /** The first job that runs shortens the wait. */
  #tickSoon(): void {
    if (this.#running.size !== 1) return;
    this.#cancelTick?.();
    this.#tickLater();
  }
}

const neverAborted = new AbortController().signal;

function unexpected(name: StreamName): never {
  throw new OutpostError(ErrorCode.internal, `a short ${name} was not sent inline`);
}

function notFound(id: JobId): OutpostError {
  return new OutpostError(ErrorCode.notFound, `there is no job ${id} on this host`);
}

function fileError(error: unknown): OutpostError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new OutpostError(ErrorCode.diskFull, "the host's disk is full", { cause: error });
  }
  return OutpostError.from(error);
}
