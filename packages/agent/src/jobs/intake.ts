/** The way in: checks whether a job may start, makes its directory, and launches it when it is its turn. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { ErrorCode, type JobStartParams, OutpostError, type SessionId } from "@outpost/protocol";
import { Job } from "./job.ts";
import type { JobDirectory, StartRequest } from "./job-directory.ts";
import type { JobStore } from "./job-store.ts";
import { checkArguments, Launcher } from "./launcher.ts";
import { removeDirectory } from "./removal.ts";

export class Intake {
  readonly #store: JobStore;
  readonly #launcher: Launcher;
  /** Jobs are launched one after the other, each in its own turn: a burst of them must not silence the heartbeat. */
  #launches: Promise<void> = Promise.resolve();

  constructor(store: JobStore) {
    const { platform, clock, hostName } = store.options;
    this.#store = store;
    this.#launcher = new Launcher(platform, clock, hostName);
  }

  /** Resolves when everything that was accepted is launched. */
  get launched(): Promise<void> {
    return this.#launches;
  }

  /**
   * Takes a job in that was never here. It is pending when this returns, and its directory is there.
   * @throws OutpostError `limit_exceeded`, `disk_full`: nothing is left of it
   */
  accept(params: StartRequest): Job {
    const { job, directory } = this.admit(params);
    if (!job.ended) {
      this.#launches = this.#launches.then(() => this.#launch(job, directory, params)).then(() => nextTurn());
    }
    return job;
  }

  /**
   * Makes a job and its directory, or one that was refused because it came too late.
   * @param session the one of this host in which it is to run
   * @throws OutpostError as `accept`
   */
  admit(params: StartRequest, session?: SessionId): { readonly job: Job; readonly directory: JobDirectory } {
    const { clock } = this.#store.options;
    const now = clock.now();
    const directory = this.#store.directory(params.job);
    if (params.expiresAt < now) {
      const message = "the request to start it reached the host after it had expired; nothing ran";
      return { job: this.#store.refused(params.job, { code: "expired", message }, now), directory };
    }
    this.#checkLimits(params);
    try {
      this.#make(directory, params, now, session);
    } catch {
      // The disk filled up just now: perhaps ended jobs can make room.
      this.#store.retention.enforce();
      this.#make(directory, params, now, session);
    }
    const job = new Job(params.job, params.origin);
    this.#store.jobs.set(job.id, job);
    return { job, directory };
  }

  /** @throws OutpostError `disk_full`; nothing is left behind */
  #make(directory: JobDirectory, params: StartRequest, now: number, session?: SessionId): void {
    try {
      directory.create();
      directory.writeSpec(params, now, this.#store.options.platform.bootId, session);
    } catch (error) {
      removeDirectory(directory.path);
      throw fileError(error);
    }
  }

  #checkLimits({ spec }: JobStartParams): void {
    const { maxRunningJobs } = this.#store.options.settings;
    checkArguments(spec);
    let pending = 0;
    for (const job of this.#store.jobs.values()) if (!job.ended) pending++;
    if (pending >= maxRunningJobs) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `the host runs ${String(pending)} jobs already, and its limit (maxRunningJobs) is ${String(maxRunningJobs)}`,
        { data: { limit: "maxRunningJobs", value: maxRunningJobs } },
      );
    }
    this.#store.retention.checkRoom(0);
  }

  async #launch(job: Job, directory: JobDirectory, params: JobStartParams): Promise<void> {
    const { input, timeoutMs, graceMs } = params.spec;
    // Optional and undefined are not the same to the compiler.
    const spec = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(graceMs === undefined ? {} : { graceMs }),
    };
    try {
      const { process, files, onExit, onFeederDied } = await this.#launcher.launch(directory, params);
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

/** What an error of the file system means for a start. */
export function fileError(error: unknown): OutpostError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new OutpostError(ErrorCode.diskFull, "the host's disk is full", { cause: error });
  }
  return OutpostError.from(error);
}
