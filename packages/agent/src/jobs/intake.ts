/** The way in: checks whether a job may start, makes its directory, and launches it when it is its turn. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { ErrorCode, type JobStartParams, OutpostError, type SessionId } from "@outpost/protocol";
import {
  type AdmittedJob,
  admitJob,
  checkCount,
  type Configuration,
  openConfiguration,
} from "../configurations/index.ts";
import { Job } from "./job.ts";
import type { JobDirectory, JobTerms, StartRequest } from "./job-directory.ts";
import type { JobStore } from "./job-store.ts";
import { checkArguments, type JobLauncher, Launcher } from "./launcher.ts";
import { removeDirectory } from "./removal.ts";

export class Intake {
  readonly #store: JobStore;
  readonly #launcher: JobLauncher;
  /** Jobs are launched one after the other, each in its own turn: a burst of them must not silence the heartbeat. */
  #launches: Promise<void> = Promise.resolve();

  constructor(store: JobStore) {
    const { platform, clock, hostName, handed, launcher } = store.options;
    this.#store = store;
    this.#launcher = launcher ?? new Launcher(platform, clock, hostName, handed);
  }

  /** Resolves when everything that was accepted is launched. */
  get launched(): Promise<void> {
    return this.#launches;
  }

  /**
   * Takes a job in that was never here. It is pending when this returns, and its directory is there.
   * @throws OutpostError `limit_exceeded`, `disk_full`; as `admitJob` and `Configurations.find`: nothing is left of it
   */
  accept(params: StartRequest): Job {
    const configuration = this.configurationOf(params);
    const admitted = admitJob(configuration, params);
    const terms = termsOf(admitted);
    const { job, directory } = this.admit(params, configuration, terms);
    if (!job.ended) {
      this.#launches = this.#launches
        .then(() => this.#launch(job, directory, params, admitted))
        .then(() => nextTurn());
    }
    return job;
  }

  /**
   * The configuration that a job is to run under. What the host's own user starts here is under none: whoever may do that
   * may write configurations.
   * @param name default: the one that was asked for
   * @throws OutpostError as `Configurations.find`
   */
  configurationOf({ spec, origin }: StartRequest, name = spec.configuration): Configuration {
    const { configurations } = this.#store.options;
    if (origin !== undefined || configurations === undefined) return openConfiguration;
    return configurations.find(name);
  }

  /**
   * Makes a job and its directory, or one that was refused because it came too late.
   * @param session the one of this host in which it is to run
   * @throws OutpostError as `accept`
   */
  admit(
    params: StartRequest,
    configuration: Configuration,
    terms: JobTerms,
    session?: SessionId,
  ): { readonly job: Job; readonly directory: JobDirectory } {
    const { clock } = this.#store.options;
    const now = clock.now();
    const directory = this.#store.directory(params.job);
    if (params.expiresAt < now) {
      const message = "the request to start it reached the host after it had expired; nothing ran";
      return { job: this.#store.refused(params, { code: "expired", message }, now), directory };
    }
    this.#checkLimits(params, configuration);
    try {
      this.#make(directory, params, terms, now, session);
    } catch {
      // The disk filled up just now: perhaps ended jobs can make room.
      this.#store.retention.enforce();
      this.#make(directory, params, terms, now, session);
    }
    const job = new Job(params.job, params.origin, params, configuration.name);
    this.#store.jobs.set(job.id, job);
    return { job, directory };
  }

  /** @throws OutpostError `disk_full`; nothing is left behind */
  #make(
    directory: JobDirectory,
    params: StartRequest,
    terms: JobTerms,
    now: number,
    session?: SessionId,
  ): void {
    try {
      directory.create();
      directory.writeSpec(params, terms, now, this.#store.options.platform.bootId, session);
    } catch (error) {
      removeDirectory(directory.path);
      throw fileError(error);
    }
  }

  #checkLimits(params: JobStartParams, { name, limits }: Configuration): void {
    const { maxRunningJobs } = this.#store.options.settings;
    checkArguments(params);
    checkRetry(params);
    let pending = 0;
    let ofConfiguration = 0;
    for (const job of this.#store.jobs.values()) {
      if (job.ended) continue;
      pending++;
      if (job.configuration === name) ofConfiguration++;
    }
    if (pending >= maxRunningJobs) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `the host runs ${String(pending)} jobs already, and its limit (maxRunningJobs) is ${String(maxRunningJobs)}`,
        { data: { limit: "maxRunningJobs", value: maxRunningJobs } },
      );
    }
    checkCount("jobs", name, limits, ofConfiguration);
    this.#store.retention.checkRoom(0);
  }

  async #launch(
    job: Job,
    directory: JobDirectory,
    params: JobStartParams,
    admitted: AdmittedJob,
  ): Promise<void> {
    const { input, graceMs, retry } = params.spec;
    // Optional and undefined are not the same to the compiler.
    const spec = {
      ...termsOf(admitted),
      ...(graceMs === undefined ? {} : { graceMs }),
      ...(retry === undefined ? {} : { retry }),
    };
    try {
      const { process, files, onExit, onFeederDied } = await this.#launcher.launch(
        directory,
        params,
        admitted,
      );
      if (input.kind === "inline") job.inputBytes = input.bytes.byteLength;
      const running = this.#store.watch({ job, directory, process, spec, files }, input.kind === "stream");
      this.#store.changed(job);
      running.begin();
      onExit(() => running.wrapperExited());
      onFeederDied(() => running.stop("stopped", "the process that feeds its input died"));
    } catch (error) {
      const { message } = OutpostError.from(error);
      this.#store.endedUnwatched(job, {
        state: "failed",
        reason: { code: "start_failed", message },
        written: { stdout: 0, stderr: 0 },
        settledAt: this.#store.options.clock.now(),
      });
    }
  }
}

/** @throws OutpostError `invalid_argument` */
function checkRetry({ spec }: JobStartParams): void {
  if (spec.retry === undefined) return;
  const refuse = (why: string): OutpostError =>
    new OutpostError(ErrorCode.invalidArgument, `a job cannot be retried ${why}`);
  if (spec.input.kind !== "none") throw refuse("that has an input: the first run has read it");
  if (spec.session !== undefined) throw refuse("in a session: its shell goes on as the first run left it");
  if (spec.command.kind === "get")
    throw refuse("that reads files: the second stream would go on behind the first");
}

function termsOf({ configuration, runAs, timeoutMs, limits }: AdmittedJob): JobTerms {
  return {
    configuration,
    ...(runAs === undefined ? {} : { user: runAs.account.name }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(limits.outputBytes === undefined ? {} : { maxOutputBytes: limits.outputBytes }),
  };
}

/** What an error of the file system means for a start. */
export function fileError(error: unknown): OutpostError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new OutpostError(ErrorCode.diskFull, "the host's disk is full", { cause: error });
  }
  return OutpostError.from(error);
}
