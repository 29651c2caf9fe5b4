/** A fan-out job, as whoever started or found it holds it. The handle may go; the job stays. */
import {
  ErrorCode,
  type FanOutInfo,
  type HostName,
  type HostState,
  type JobId,
  type JobInfo,
  OutpostError,
  type RolloutInfo,
} from "@outpost/protocol";
import { signedRemove, signedStop } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import type { CheckEvent, JobEvent } from "./events.ts";
import { failedChecks } from "./failed-checks.ts";
import type { JobView } from "./job-view.ts";
import { receive, type ReceiveOptions } from "./receive.ts";

export interface JobOptions {
  readonly connection: Connection;
  readonly fanout: FanOutInfo;
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
  readonly input?: Promise<void>;
}

export type { JobView } from "./job-view.ts";

/** With more jobs than this, answers are asked to leave them out: they are asked for in pages. */
const manyJobs = 500;

export class Job {
  readonly id: JobId;
  readonly name: string | undefined;
  /** Its hosts, and how each could be reached when this handle was made. */
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
  /** Settles when the streamed standard input has reached the controller; absent when there is none. Rejects with
   * OutpostError `limit_exceeded`, `disk_full`, …, or the source's own error; the jobs are stopped then. */
  readonly input: Promise<void> | undefined;
  /** How its roll-out stood when this handle was made; absent when it has none. */
  readonly rollout: RolloutInfo | undefined;
  readonly #connection: Connection;

  constructor({ connection, fanout, hosts, input }: JobOptions) {
    this.#connection = connection;
    this.id = fanout.job;
    this.name = fanout.name;
    this.hosts = hosts;
    this.rollout = fanout.rollout;
    this.input = input;
  }

  /**
   * Reads output from where the last receive ended. Pulled: credit for more is granted as events are taken, so a slow
   * consumer slows nobody else and holds no more than its window. Asking for the next event says that the last one was
   * safely handled; unless `keep`, it is then acknowledged, and its host may forget it.
   *
   * The first event is the `plan`, the last the `summary`. A cut connection is made again, and the sequence goes on.
   *
   * @example
   * for await (const event of job.receive({ follow: true })) {
   *   if (event.type === "out") await write(event.bytes);
   * }
   * @throws OutpostError `not_found` when the job or a host of `hosts` is not there; `cancelled`;
   * `controller_unreachable` when the connection did not come back in time
   */
  receive(options: ReceiveOptions = {}): AsyncGenerator<JobEvent, void, void> {
    const { id: job, name, hosts, rollout } = this;
    return receive({ job, name, hosts, rollout, connection: this.#connection }, options);
  }

  /** How it stands, with what its running jobs have written so far. @throws OutpostError `not_found` */
  show(): Promise<JobView> {
    return this.#view();
  }

  /** On which hosts its roll-out's check has failed so far; none without one, and when the check's job was removed. */
  async failedChecks(): Promise<readonly CheckEvent[]> {
    const check = this.rollout?.check;
    return check === undefined ? [] : failedChecks(this.#connection, { job: this.id, check });
  }

  /**
   * Pauses its roll-out: what runs goes on, and nothing more begins until `resume`.
   * @throws OutpostError `conflict` when it has none, or it is over
   */
  async pause(): Promise<FanOutInfo> {
    await this.#connection.needs(3, "roll-outs");
    const { fanout } = await this.#connection.request("fanout.pause", { job: this.id });
    return fanout;
  }

  /**
   * Lets its roll-out go on, paused by somebody, between stages, or because a stage is to be confirmed.
   * @param options.stage only if it is still in this stage: who confirms one stage does not confirm the next
   * @throws OutpostError `conflict` when it has none, it is over, or is in another stage
   */
  async resume(options: { readonly stage?: number | undefined } = {}): Promise<FanOutInfo> {
    const { stage } = options;
    await this.#connection.needs(3, "roll-outs");
    const params = { job: this.id, ...(stage === undefined ? {} : { stage }) };
    const { fanout } = await this.#connection.request("fanout.resume", params);
    return fanout;
  }

  /**
   * Waits for the end of all its jobs, or with `any` of one.
   * @param options.timeoutMs how long at most, in milliseconds; default no limit
   * @returns `ended: false` when the time ran out first
   * @throws OutpostError `timeout` when the time ran out and the controller could not be asked how things stand
   */
  async wait(
    options: { readonly any?: boolean; readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<JobView & { readonly ended: boolean }> {
    const { any = false, timeoutMs, signal } = options;
    const begunMs = performance.now();
    const left = (): { timeoutMs?: number } =>
      timeoutMs === undefined
        ? {}
        : { timeoutMs: Math.max(0, Math.ceil(timeoutMs - (performance.now() - begunMs))) };
    const limits = [signal, answerLimit(timeoutMs)].filter((each) => each !== undefined);
    const params = () => ({ job: this.id, any, ...left(), ...this.#brief });
    const result = await this.#connection.request("fanout.wait", params, {
      signal: AbortSignal.any(limits),
    });
    if (!this.#isLeftOut(result.jobs)) return result;
    return { ended: result.ended, ...(await this.#view(signal)) };
  }

  /**
   * Stops its jobs: SIGTERM to all their processes, SIGKILL after the grace period. A host that cannot be reached stops
   * its job when it is back (`waiting: "stop"`). Without `hosts` its roll-out is stopped, with the check.
   * @param options.graceMs between the two signals, in milliseconds; default the job's, else the host's setting
   */
  async stop(
    options: { readonly hosts?: readonly HostName[]; readonly graceMs?: number } = {},
  ): Promise<readonly JobInfo[]> {
    const { hosts, graceMs } = options;
    const some = hosts === undefined ? {} : { hosts: [...hosts] };
    const grace = graceMs === undefined ? {} : { graceMs };
    const connection = this.#connection;
    const brief = hosts === undefined || hosts.length > manyJobs ? this.#brief : {};
    const params = { job: this.id, ...some, ...grace, ...brief };
    const { jobs } = await connection.request("fanout.stop", () => signedStop(connection, params));
    if (hosts === undefined) await this.#stopCheck(grace);
    if (!this.#isLeftOut(jobs)) return jobs;
    const view = await this.show();
    const wanted = new Set(hosts);
    return hosts === undefined ? view.jobs : view.jobs.filter(({ host }) => wanted.has(host));
  }

  /** What runs of its roll-out's check, which is a job of its own; it may be over and removed. */
  async #stopCheck(grace: { readonly graceMs?: number }): Promise<void> {
    const check = this.rollout?.check;
    if (check === undefined) return;
    const connection = this.#connection;
    const params = { job: check, ...grace, brief: true };
    try {
      await connection.request("fanout.stop", () => signedStop(connection, params));
    } catch (error) {
      if (OutpostError.from(error).code !== ErrorCode.notFound) throw error;
    }
  }

  /**
   * Removes it with all its output. @param options.force stop what still runs first; else that is a `conflict`
   */
  async remove(options: { readonly force?: boolean } = {}): Promise<readonly JobInfo[]> {
    const { force = false } = options;
    const connection = this.#connection;
    const params = { job: this.id, force, ...this.#brief };
    const { jobs } = await connection.request("fanout.remove", () => signedRemove(connection, params));
    if (!this.#isLeftOut(jobs)) return jobs;
    try {
      return (await this.show()).jobs;
    } catch (error) {
      // Gone from every host.
      if (OutpostError.from(error).code === ErrorCode.notFound) return [];
      throw error;
    }
  }

  async #view(signal?: AbortSignal): Promise<JobView> {
    const { viewOf } = await import("./job-view.ts");
    return viewOf(this.#connection, this.id, signal);
  }

  /** Of many hosts, an answer holds no jobs; a controller that knows nothing of that sends them all. */
  get #brief(): { readonly brief?: true } {
    return this.hosts.length > manyJobs ? { brief: true } : {};
  }

  #isLeftOut(jobs: readonly JobInfo[]): boolean {
    return jobs.length === 0 && this.#brief.brief === true;
  }
}

/** How much longer than its limit a wait may take because the controller answers late, in milliseconds. */
const lateMs = 1_000;
/** Longer than any timer may be. */
const longMs = 2 ** 31 - 1;

function answerLimit(timeoutMs: number | undefined): AbortSignal | undefined {
  if (timeoutMs === undefined || timeoutMs + lateMs > longMs) return undefined;
  return AbortSignal.timeout(timeoutMs + lateMs);
}
