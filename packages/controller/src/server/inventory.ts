/**
 * Takes in what a host says that it holds, and acts on the table in `reconcile.ts`. One per connection; it lives until
 * the last page.
 */
import type { Clock, JobId, JobStatus } from "@outpost/protocol";
import type { Logger } from "pino";
import { isEnded } from "./job-status.ts";
import type { HostLink } from "./bus.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { JobRecord } from "./catalogue/fan-outs.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { Job } from "./job.ts";
import type { LocalJobAllowance } from "./local-job-allowance.ts";
import { adoptLocalJob } from "./local-jobs.ts";
import type { Host } from "./presence.ts";
import { reconcile, type Verdict } from "./reconcile.ts";
import type { Starts } from "./starts.ts";

export interface InventoryOptions {
  readonly catalogue: Catalogue;
  readonly fanOuts: FanOuts;
  readonly localJobs: LocalJobAllowance;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bytes of a job that are safe elsewhere: received by operators, or in our own store. */
  readonly safe: (fanOut: FanOut, job: Job) => { stdout: number; stderr: number };
  /** What waits for this host may be sent now. */
  readonly rollouts: { ready(host: Host): void };
  readonly starts: Pick<Starts, "again">;
}

/** How many ids `job.status` takes at once. */
const maxStatusIds = 1_000;

export class Inventory {
  readonly #options: InventoryOptions;
  readonly #host: Host;
  readonly #link: HostLink;
  readonly #seen = new Set<JobId>();

  constructor(options: InventoryOptions, host: Host, link: HostLink) {
    this.#options = options;
    this.#host = host;
    this.#link = link;
  }

  page(jobs: readonly JobStatus[]): void {
    for (const status of jobs) {
      this.#seen.add(status.job);
      this.#reported(status);
    }
  }

  /** After the last page: what the host should have and did not name. */
  async finish(): Promise<void> {
    const missing = this.#missing();
    for (let at = 0; at < missing.length; at += maxStatusIds) {
      await this.#ask(missing.slice(at, at + maxStatusIds));
    }
    this.#options.rollouts.ready(this.#host);
  }

  /** What was asked for or heard on this very connection is newer than the inventory. */
  #missing(): [FanOut, Job][] {
    const { fanOuts } = this.#options;
    return [...fanOuts.on({ host: this.#host.id, hostName: this.#host.name })].filter(
      ([fanOut, job]) =>
        !this.#seen.has(fanOut.id) &&
        job.heardOn !== this.#link &&
        !job.isQueued &&
        (job.isHeld || !job.isEnded || job.waiting !== undefined),
    );
  }

  /** The inventory leaves out what was removed; asked by id, the host still knows how such a job ended. */
  async #ask(missing: readonly [FanOut, Job][]): Promise<void> {
    const { jobs } = await this.#link.request("job.status", { jobs: missing.map(([fanOut]) => fanOut.id) });
    const answers = new Map(jobs.map((status) => [status.job, status]));
    for (const [fanOut, job] of missing) {
      if (job.heardOn !== this.#link) this.#apply(fanOut, job, answers.get(fanOut.id));
    }
  }

  #reported(status: JobStatus): void {
    const { fanOuts, catalogue } = this.#options;
    const record = catalogue.fanOuts.job(status.job, this.#host.id);
    if (record !== undefined && this.#isSettled(record, status)) return;
    // Not started by this catalogue: by somebody on the host, or somebody restored an old catalogue. Nothing of an
    // operator's job is ours to touch then.
    const fanOut =
      record === undefined ? adoptLocalJob(this.#options, this.#host, status) : fanOuts.find(status.job);
    const job = fanOut?.job(this.#host.name);
    if (fanOut !== undefined && job !== undefined) this.#apply(fanOut, job, status);
  }

  /** The common case on a host with many old jobs: nothing new, so the fan-out job need not be loaded. */
  #isSettled(record: JobRecord, reported: JobStatus): boolean {
    const { status, waiting, collected, held } = record;
    if (
      !isEnded(status) ||
      status.reason?.code === "forgotten" ||
      waiting !== undefined ||
      !held ||
      collected
    )
      return false;
    const { stdout, stderr } = reported.output;
    return (
      stdout.received === record.received.stdout &&
      stderr.received === record.received.stderr &&
      stdout.written === status.output.stdout.written &&
      stderr.written === status.output.stderr.written
    );
  }

  #apply(fanOut: FanOut, job: Job, reported: JobStatus | undefined): void {
    const verdict = reconcile(
      {
        status: job.status,
        isRemoved: fanOut.isRemoved,
        isStopWaiting: job.waiting?.kind === "stop",
        safe: this.#options.safe(fanOut, job),
        expiresAt: fanOut.expiresAt,
      },
      reported,
      this.#options.clock.now(),
    );
    this.#carryOut(fanOut, job, reported, verdict);
  }

  #carryOut(fanOut: FanOut, job: Job, reported: JobStatus | undefined, verdict: Verdict): void {
    const { dispatch, starts, fanOuts } = this.#options;
    if (reported !== undefined) {
      const isVisible = job.report(reported, this.#link);
      // Whoever waits for the host to be back has to know that it has said its word.
      fanOuts.note(fanOut, job, isVisible || !job.isEnded);
    }
    switch (verdict.kind) {
      case "leave":
        break;
      case "report":
        if (verdict.acknowledge) void dispatch.acknowledge(fanOut, job, this.#options.safe(fanOut, job));
        if (verdict.stop) void dispatch.advance(fanOut, job);
        break;
      case "remove":
        void dispatch.advance(fanOut, job);
        break;
      case "removed":
      case "gone":
        if (verdict.kind === "removed") job.waiting = undefined;
        fanOuts.note(fanOut, job, job.gone());
        break;
      case "start":
        starts.again(fanOut, job, this.#link);
        break;
      case "settle":
        dispatch.unknownToHost(fanOut, job);
        break;
      default:
        verdict satisfies never;
    }
  }
}
