/**
 * Everything that is started later than it was asked for: the roll-outs, and the fan-out jobs that wait for hosts that are
 * offline. Each goes on by itself; what comes from outside (a host is back, an operator pauses, stops, removes) goes through here.
 */
import { type Clock, ErrorCode, type JobId, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Bus } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { Job } from "./job.ts";
import type { Host } from "./presence.ts";
import { QueuedStarts } from "./queued-starts.ts";
import { RolloutRun } from "./rollout-run.ts";
import type { ControllerSettings } from "./settings.ts";
import type { Starts } from "./starts.ts";

export interface RolloutsOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly starts: Starts;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

export class Rollouts implements Disposable {
  readonly #options: RolloutsOptions;
  readonly #startedMs: number;
  readonly #runs = new Map<JobId, RolloutRun>();
  readonly #queued = new Map<JobId, QueuedStarts>();

  constructor(options: RolloutsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
  }

  /** Begins with a fan-out job that was just recorded. @param check of its roll-out */
  begin(fanOut: FanOut, check?: FanOut): void {
    if (fanOut.record.rollout !== undefined) this.#run(fanOut, check).drive();
    else if (fanOut.jobs.some((job) => job.isQueued)) this.#queue(fanOut);
  }

  /** After a restart: goes on with all of them. */
  resume(): void {
    const { fanOuts, starts } = this.#options;
    const others: FanOut[] = [];
    const checks = new Set<FanOut>();
    for (const fanOut of fanOuts.unfinished()) {
      const { rollout } = fanOut.record;
      if (rollout === undefined) others.push(fanOut);
      if (rollout === undefined || rollout.ended !== undefined) continue;
      const check = rollout.check === undefined ? undefined : fanOuts.find(rollout.check);
      if (check !== undefined) checks.add(check);
      const run = this.#run(fanOut, check);
      if (fanOut.isRemoved) run.removed(fanOut.record.removedBy!);
      else run.wake();
    }
    for (const fanOut of others) {
      if (checks.has(fanOut)) continue;
      // A check whose roll-out was removed and forgotten before that was recorded here.
      for (const job of fanOut.jobs) {
        if (!job.isQueued || job.turn !== "rollout") continue;
        starts.withhold(fanOut, job, "stopped", "not_begun", "its roll-out was removed; nothing ran there");
      }
      if (fanOut.jobs.some((job) => job.isQueued)) this.#queue(fanOut);
    }
  }

  /** A host is back, and has told what it holds. */
  ready({ name }: Pick<Host, "name">): void {
    for (const queued of this.#queued.values()) queued.ready(name);
    for (const run of this.#runs.values()) if (run.fanOut.job(name) !== undefined) run.wake();
  }

  /** @throws OutpostError `conflict` without a roll-out, or when it is over; `disk_full` */
  pause(fanOut: FanOut, by: string): void {
    this.#going(fanOut, "paused").pause(by);
  }

  /** @param stage only if it is still in this one, from 1. @throws OutpostError `conflict` as `pause`, and when it is not
   * paused or in another stage; `disk_full` */
  resumeRollout(fanOut: FanOut, stage: number | undefined): void {
    this.#going(fanOut, "resumed").resume(stage);
  }

  /**
   * Ends what of a fan-out job was not begun.
   * @param jobs those that are stopped; if no others have not ended, so is the roll-out
   * @throws OutpostError `disk_full`
   */
  stop(fanOut: FanOut, jobs: readonly Job[], by: string): void {
    const { starts } = this.#options;
    const run = this.#runs.get(fanOut.id);
    if (run !== undefined && isRest(run, jobs)) run.stop(by);
    for (const job of jobs) {
      if (!job.isQueued) continue;
      const message = `stopped by ${by} before it had begun; nothing ran there`;
      starts.withhold(fanOut, job, "stopped", "stopped", message, by);
    }
  }

  /** @throws OutpostError `conflict` when this is the check of a roll-out that goes on: it would go on without any */
  demandNoCheck(fanOut: FanOut): void {
    for (const run of this.#runs.values()) {
      if (run.check !== fanOut || run.isOver) continue;
      throw new OutpostError(
        ErrorCode.conflict,
        `${fanOut.title} is the check of ${run.fanOut.title}, whose roll-out goes on; pause, stop or remove that one`,
        { data: { job: fanOut.id, rollout: run.fanOut.id } },
      );
    }
  }

  /** The roll-out goes on: a job may have ended on all hosts, and its check not. */
  isGoing(fanOut: FanOut): boolean {
    return this.#runs.get(fanOut.id)?.isOver === false;
  }

  /** The fan-out job was removed; what has not begun never does. */
  removed(fanOut: FanOut, by: string): void {
    this.#runs.get(fanOut.id)?.removed(by);
    this.stop(fanOut, fanOut.jobs, by);
  }

  /** Nothing more begins for an operator who is none any more. */
  operatorRemoved(operator: string, by: string): void {
    const theirs = [...this.#runs.values(), ...this.#queued.values()].filter(
      ({ fanOut }) => fanOut.owner === operator,
    );
    for (const { fanOut } of theirs) {
      try {
        this.stop(fanOut, fanOut.jobs, by);
      } catch (error) {
        // The disk is full. Nothing begins until it is not, and then `starts.ts` knows that they are no operator.
        this.#fault(fanOut, error);
      }
    }
  }

  [Symbol.dispose](): void {
    for (const each of [...this.#runs.values(), ...this.#queued.values()]) each[Symbol.dispose]();
  }

  #run(fanOut: FanOut, check: FanOut | undefined): RolloutRun {
    const ended = (): void => {
      this.#runs.delete(fanOut.id);
      for (const each of [fanOut, check]) if (each !== undefined) this.#options.starts.drop(each);
    };
    const fault = (error: unknown): void => this.#fault(fanOut, error);
    const options = { ...this.#options, startedMs: this.#startedMs, ended, fault };
    const run = new RolloutRun(options, fanOut, fanOut.record.rollout!, check);
    this.#runs.set(fanOut.id, run);
    return run;
  }

  #queue(fanOut: FanOut): void {
    const ended = (): void => {
      this.#queued.delete(fanOut.id);
      this.#options.starts.drop(fanOut);
    };
    const fault = (error: unknown): void => this.#fault(fanOut, error);
    this.#queued.set(fanOut.id, new QueuedStarts({ ...this.#options, ended, fault }, fanOut));
  }

  #fault({ id }: FanOut, error: unknown): void {
    this.#options.log.error({ job: id, err: error }, "what begins later has met a fault");
  }

  #going(fanOut: FanOut, what: string): RolloutRun {
    const run = this.#runs.get(fanOut.id);
    if (run !== undefined) return run;
    this.demandNoCheck(fanOut);
    const { id, title, record } = fanOut;
    const why =
      record.rollout === undefined
        ? `${title} has no roll-out: it was sent to all of its hosts at once`
        : `the roll-out of ${title} is over and cannot be ${what}; \`outpost job show ${id}\` shows how it ended`;
    throw new OutpostError(ErrorCode.conflict, why, { data: { job: id } });
  }
}

/** These are all of it, or all that has not ended. With a check those that have ended are not through, and it goes on for them. */
function isRest({ fanOut, check }: RolloutRun, jobs: readonly Job[]): boolean {
  const named = new Set(jobs);
  return fanOut.jobs.every((job) => named.has(job) || (check === undefined && job.isEnded));
}
