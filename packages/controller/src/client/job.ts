/** A fan-out job, as whoever started or found it holds it. The handle may go; the job stays. */
import type { FanOutInfo, HostName, HostState, JobId, JobInfo } from "@outpost/protocol";
import { signedRemove, signedStop } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import type { JobEvent } from "./events.ts";
import { receive, type ReceiveOptions } from "./receive.ts";

export interface JobOptions {
  readonly connection: Connection;
  readonly fanout: FanOutInfo;
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
  readonly input?: Promise<void>;
}

/** How a fan-out job and its jobs stand. */
export interface JobView {
  readonly fanout: FanOutInfo;
  readonly jobs: readonly JobInfo[];
}

export class Job {
  readonly id: JobId;
  readonly name: string | undefined;
  /** Its hosts, and how each could be reached when this handle was made. */
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
  /** Settles when the streamed standard input has reached the controller; absent when there is none. Rejects with
   * OutpostError `limit_exceeded`, `disk_full`, …, or the source's own error; the jobs are stopped then. */
  readonly input: Promise<void> | undefined;
  readonly #connection: Connection;

  constructor({ connection, fanout, hosts, input }: JobOptions) {
    this.#connection = connection;
    this.id = fanout.job;
    this.name = fanout.name;
    this.hosts = hosts;
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
    const { id: job, name, hosts } = this;
    return receive({ job, name, hosts, connection: this.#connection }, options);
  }

  /** How it stands, with what its running jobs have written so far. @throws OutpostError `not_found` */
  show(): Promise<JobView> {
    return this.#connection.request("fanout.show", { job: this.id });
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
    return this.#connection.request("fanout.wait", () => ({ job: this.id, any, ...left() }), {
      signal: AbortSignal.any(limits),
    });
  }

  /**
   * Stops its jobs: SIGTERM to all their processes, SIGKILL after the grace period. A host that cannot be reached stops
   * its job when it is back (`waiting: "stop"`).
   * @param options.graceMs between the two signals, in milliseconds; default the job's, else the host's setting
   */
  async stop(
    options: { readonly hosts?: readonly HostName[]; readonly graceMs?: number } = {},
  ): Promise<readonly JobInfo[]> {
    const { hosts, graceMs } = options;
    const some = hosts === undefined ? {} : { hosts: [...hosts] };
    const grace = graceMs === undefined ? {} : { graceMs };
    const connection = this.#connection;
    const params = { job: this.id, ...some, ...grace };
    const { jobs } = await connection.request("fanout.stop", () => signedStop(connection, params));
    return jobs;
  }

  /**
   * Removes it with all its output. @param options.force stop what still runs first; else that is a `conflict`
   */
  async remove(options: { readonly force?: boolean } = {}): Promise<readonly JobInfo[]> {
    const { force = false } = options;
    const connection = this.#connection;
    const params = { job: this.id, force };
    const { jobs } = await connection.request("fanout.remove", () => signedRemove(connection, params));
    return jobs;
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
