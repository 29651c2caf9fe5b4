/**
 * Carries one roll-out out: looks at how its hosts stand, asks `rollout.ts` what is next, records that, and only then sends it.
 * What it knows beyond the catalogue is nothing that a restart would miss.
 */
import { type Clock, ErrorCode, OutpostError, type RolloutInfo } from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import { HostAbsence } from "./host-absence.ts";
import type { Job } from "./job.ts";
import { decide, type Decision, failuresOf, type RolloutView, standOf } from "./rollout.ts";
import { planOf, type RolloutPlan, type RolloutProgress, type RolloutRecord } from "./rollout-plan.ts";
import { RolloutTurns } from "./rollout-turns.ts";
import type { ControllerSettings } from "./settings.ts";
import type { Batch, Starts } from "./starts.ts";

export interface RolloutRunOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly starts: Starts;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  /** When the controller was started, by the monotonic clock. */
  readonly startedMs: number;
  /** It is over, and so are all of its jobs. */
  readonly ended: (run: RolloutRun) => void;
  /** Told of what went wrong while nobody was asking. */
  readonly fault: (error: unknown) => void;
}

/** Timers look again at least this often, in milliseconds: the time may have been set meanwhile. */
const longestSleepMs = 60_000;

export class RolloutRun implements Disposable {
  readonly fanOut: FanOut;
  readonly check: FanOut | undefined;
  readonly #options: RolloutRunOptions;
  readonly #plan: RolloutPlan;
  readonly #absence: HostAbsence;
  readonly #turns: RolloutTurns;
  readonly #forget: readonly (() => void)[];
  #told = "";
  #isWoken = false;
  #isOver = false;
  #cancelTimer = (): void => {};

  /** @param record of the fan-out job's roll-out */
  constructor(options: RolloutRunOptions, fanOut: FanOut, record: RolloutRecord, check: FanOut | undefined) {
    const { bus, clock, settings, startedMs } = options;
    this.fanOut = fanOut;
    this.check = check;
    this.#options = options;
    this.#plan = planOf(record, fanOut.jobs.length);
    const changed = (): void => this.wake();
    this.#absence = new HostAbsence({ bus, clock, settings, startedMs, changed });
    this.#turns = new RolloutTurns(fanOut, check, this.#absence);
    const jobChanged = ({ position }: Job): void => {
      this.#turns.look(position);
      this.wake();
    };
    this.#forget = [fanOut, ...(check === undefined ? [] : [check])].map((each) =>
      each.onChanged(jobChanged),
    );
    fanOut.rollOut(() => this.info);
  }

  get info(): RolloutInfo {
    const { jobs, record } = this.fanOut;
    const { stage } = this.#progress;
    let begun = 0;
    let waiting = 0;
    for (const job of jobs) {
      if (job.turn !== "rollout" || job.status.reason?.code === "skipped") begun++;
      else if (job.isQueued) waiting++;
    }
    const { maxFailures } = this.#plan;
    return {
      ...standOf(this.#view),
      stage: stage + 1,
      stages: this.#plan.stageEnds.length,
      begun,
      waiting,
      failures: failuresOf(this.#view),
      ...(maxFailures === undefined ? {} : { maxFailures }),
      ...(record.rollout?.check === undefined ? {} : { check: record.rollout.check }),
    };
  }

  get isOver(): boolean {
    return this.#progress.over !== undefined;
  }

  /** Looks at it soon, once for all that happens until then. */
  wake(): void {
    if (this.#isWoken || this.#isOver) return;
    this.#isWoken = true;
    setImmediate(() => {
      if (!this.#isWoken) return;
      try {
        this.drive();
      } catch (error) {
        this.#options.fault(error);
        // Else nothing would ever look at it again.
        this.#sleep(undefined);
      }
    });
  }

  /** Does what is due now. */
  drive(): void {
    this.#isWoken = false;
    if (this.#isOver) return;
    const { clock } = this.#options;
    this.#turns.lookAtGoing();
    // Stopped, and killed before that was written of every job.
    if (typeof this.#progress.over === "object") this.#withholdRest();
    if (clock.now() >= this.fanOut.expiresAt) this.#expire();
    for (;;) {
      const decision = decide(this.#view, clock.now());
      if (!this.#carryOut(decision)) {
        this.#sleep(decision.wakeAt);
        break;
      }
    }
    this.#tell();
    if (this.isOver) this.#dropStarts();
    this.#endIfOver();
  }

  /** @throws OutpostError `conflict` when it is over; `disk_full` */
  pause(by: string): void {
    this.#demandGoing("paused");
    // Who paused it first is whom to ask.
    if (this.#progress.pausedBy !== undefined) return;
    this.#change({ ...this.#progress, pausedBy: by });
  }

  /** @param stage only if it is still in this one, from 1. @throws OutpostError `conflict`, `disk_full` */
  resume(stage?: number): void {
    this.#demandGoing("resumed");
    const { pausedBy, gate, ...progress } = this.#progress;
    if (stage !== undefined && stage !== progress.stage + 1) {
      const now = `stage ${String(progress.stage + 1)} of ${String(this.#plan.stageEnds.length)}`;
      throw this.#conflict(`is not in stage ${String(stage)} any more, but in ${now}`);
    }
    if (pausedBy !== undefined) {
      // What stood between two stages stands there still: who pauses for a while has confirmed nothing.
      this.#change({ ...progress, ...(gate === undefined ? {} : { gate }) });
    } else if (gate !== undefined) {
      this.#change({ stage: progress.stage + 1 });
    } else {
      throw this.#conflict("is not paused; it goes on by itself");
    }
  }

  /** Nothing more begins. @throws OutpostError `disk_full` */
  stop(by: string): void {
    if (this.isOver) return;
    this.#change({ ...this.#progress, over: { reason: "operator", by } });
  }

  /** The fan-out job was removed: nobody asks for it any more. */
  removed(by: string): void {
    if (!this.isOver) this.fanOut.rolledOut({ ...this.#progress, over: { reason: "operator", by } });
    this.#withholdRest();
    this.#end();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#isWoken = false;
    this.#cancelTimer();
    for (const forget of this.#forget) forget();
    this.#absence[Symbol.dispose]();
  }

  get #progress(): RolloutProgress {
    return this.fanOut.record.rollout!.progress;
  }

  get #view(): RolloutView {
    const { jobs } = this.fanOut;
    return {
      plan: this.#plan,
      progress: this.#progress,
      hosts: this.#turns.hosts,
      checks: this.#turns.checks,
      reach: (position) => this.#absence.now(jobs[position]!.host),
      reachOfCheck: (position) => this.#absence.forLong(jobs[position]!.host),
    };
  }

  /** @returns whether anything was done */
  #carryOut(decision: Decision): boolean {
    const { progress, begin, offline, check, uncheckable, unchecked } = decision;
    const isChanged = progress !== this.#progress;
    const doneAny = [begin, offline, check, uncheckable, unchecked].some((each) => each.length > 0);
    if (!isChanged && !doneAny) return false;
    if (isChanged) {
      this.fanOut.rolledOut(progress);
      this.#options.fanOuts.noteRecord(this.fanOut);
    }
    for (const position of offline) this.#offline(this.fanOut.jobs[position]!);
    for (const position of uncheckable) this.#unreachable(this.check!, this.check!.jobs[position]!);
    for (const position of unchecked) this.#notBegun(this.check!, this.check!.jobs[position]!);
    if (progress.over !== undefined && progress.over !== "done") this.#withholdRest();
    const { jobs } = this.fanOut;
    const batches: Batch[] = [{ fanOut: this.fanOut, jobs: begin.map((position) => jobs[position]!) }];
    if (check.length > 0) {
      const checks = check.map((position) => this.check!.jobs[position]!);
      batches.push({ fanOut: this.check!, jobs: checks });
    }
    this.#options.starts.begin(batches);
    for (const position of [...begin, ...offline, ...check, ...uncheckable, ...unchecked])
      this.#turns.look(position);
    return true;
  }

  #offline(job: Job): void {
    const { starts, fanOuts } = this.#options;
    switch (this.#plan.offline) {
      case "fail":
        this.#unreachable(this.fanOut, job);
        break;
      case "skip":
        starts.withhold(
          this.fanOut,
          job,
          "stopped",
          "skipped",
          `${job.hostName} was offline at its turn; left out`,
        );
        break;
      case "queue":
        job.queue();
        fanOuts.note(this.fanOut, job, true);
        break;
    }
  }

  /** It has had its turn, and so has failed. */
  #unreachable(fanOut: FanOut, job: Job): void {
    const message = `${job.hostName} had no connection to the controller when its turn came; nothing ran there`;
    job.begin();
    this.#options.starts.withhold(fanOut, job, "failed", "host_unreachable", message);
  }

  #notBegun(fanOut: FanOut, job: Job): void {
    const { over } = this.#progress;
    const by = typeof over === "object" && over.reason === "operator" ? over.by : undefined;
    let why = `${job.hostName} did not complete what was to be checked`;
    if (by !== undefined) why = `the roll-out was stopped by ${by} before the turn of ${job.hostName}`;
    else if (typeof over === "object")
      why = `the roll-out was stopped after too many failures, before the turn of ${job.hostName}`;
    this.#options.starts.withhold(fanOut, job, "stopped", "not_begun", `${why}; nothing ran there`, by);
  }

  /** Nothing more is sent: what was packed for it may hold secrets, and a host that is away may keep it from its end for long. */
  #dropStarts(): void {
    for (const each of [this.fanOut, this.check]) if (each !== undefined) this.#options.starts.drop(each);
  }

  #withholdRest(): void {
    for (const fanOut of [this.fanOut, this.check]) {
      for (const job of fanOut?.jobs ?? []) if (job.isQueued) this.#notBegun(fanOut!, job);
    }
  }

  #expire(): void {
    const at = new Date(this.fanOut.expiresAt).toISOString();
    for (const fanOut of [this.fanOut, this.check]) {
      for (const job of fanOut?.jobs ?? []) {
        if (!job.isQueued) continue;
        const what = job.turn === "host" ? "was not back" : "had not had its turn";
        const message = `${job.hostName} ${what} when the job expired (${at}); nothing ran there`;
        this.#options.starts.withhold(fanOut!, job, "failed", "expired", message);
      }
    }
    this.#dropStarts();
  }

  /** Records it, and then does what follows from it. */
  #change(progress: RolloutProgress): void {
    const before = this.#progress;
    const { fanOuts } = this.#options;
    this.fanOut.rolledOut(progress);
    fanOuts.noteRecord(this.fanOut);
    try {
      fanOuts.flush("synced");
    } catch (error) {
      this.fanOut.rolledOut(before);
      throw error;
    }
    if (typeof progress.over === "object") this.#withholdRest();
    this.drive();
  }

  #demandGoing(what: string): void {
    const { over } = this.#progress;
    if (over === undefined) return;
    const how = over === "done" ? "is done" : "was stopped";
    throw this.#conflict(
      `${how} and cannot be ${what}; \`outpost job show ${this.fanOut.id}\` shows how it ended`,
    );
  }

  #conflict(what: string): OutpostError {
    const { id, title } = this.fanOut;
    return new OutpostError(ErrorCode.conflict, `the roll-out of ${title} ${what}`, {
      data: { job: id, stage: this.#progress.stage + 1 },
    });
  }

  #sleep(wakeAt: number | undefined): void {
    const { clock } = this.#options;
    const now = clock.now();
    const { hosts, checks } = this.#turns;
    const isQueued = hosts.some((turn) => turn === "waiting" || turn === "queued");
    const due = [
      wakeAt === undefined ? undefined : wakeAt - now,
      isQueued || checks?.includes("waiting") === true ? this.fanOut.expiresAt - now : undefined,
      this.#absence.nextMs,
    ].filter((delay) => delay !== undefined);
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (due.length === 0) return;
    this.#cancelTimer = clock.after(Math.min(longestSleepMs, ...due), () => this.wake());
  }

  #tell(): void {
    const { state, reason, by, until } = standOf(this.#view);
    // That the last host has had its turn is news for whoever waits for all that will begin by itself.
    const isLeft = this.#turns.hosts.includes("waiting");
    const looks = [state, reason, by, until, this.#progress.stage, isLeft].join();
    if (looks === this.#told) return;
    this.#told = looks;
    this.fanOut.rolloutChanged(this.info);
  }

  #endIfOver(): void {
    if (this.isOver && this.fanOut.isEnded && this.check?.isEnded !== false) this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    const { fanOuts, ended } = this.#options;
    // Whoever follows it waits for this word.
    this.#tell();
    this.fanOut.rolloutEnded(this.info);
    fanOuts.noteRecord(this.fanOut);
    this[Symbol.dispose]();
    ended(this);
  }
}
