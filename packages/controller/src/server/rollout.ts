/**
 * What a roll-out does next. Pure: it looks at how every host stands and says whose turn it is.
 *
 *     stage ──all of its hosts over──▶ check ──over──▶ pause ──time──▶ confirm ──resume──▶ next stage … ──▶ done
 *       └── any of them, more failures than allowed, or fanout.stop ──▶ stopped: what has not begun never does
 *
 * One host:
 *
 *     waiting ──▶ active ──▶ succeeded ──▶ its check: waiting ──▶ active ──▶ succeeded
 *        │         │  ▲  └─▶ failed                                 └─▶ failed: so has the host
 *        │         ▼  │
 *        │       stalled      its host has been away for too long: its place is another's, and it counts as failed meanwhile
 *        ├──▶ queued ──▶ active      offline at its turn (`queue`): holds nothing up, until it is back
 *        └──▶ out                    offline at its turn (`skip`), stopped by name, expired: counts as nothing
 *
 * A stage is over when none of its hosts is waiting or active; with hosts in the queue the last one is not done until they have
 * come, or have expired. Whoever carries a decision out MUST record it before anything is sent, and then ask again.
 */
import type { RolloutState } from "@outpost/protocol";
import type { RolloutPlan, RolloutProgress } from "./rollout-plan.ts";

export type HostTurn = "waiting" | "queued" | "active" | "stalled" | "succeeded" | "failed" | "out";
export type CheckTurn = "waiting" | "active" | "stalled" | "succeeded" | "failed";

/** `away`: it has no connection, and it is too early to conclude anything: the controller was just started. */
export type Reach = "connected" | "away" | "offline";

export interface RolloutView {
  readonly plan: RolloutPlan;
  readonly progress: RolloutProgress;
  /** By position. */
  readonly hosts: readonly HostTurn[];
  /** The same for the check; absent without one. */
  readonly checks?: readonly CheckTurn[] | undefined;
  readonly reach: (position: number) => Reach;
  /** The same, of a host that is to be checked: `offline` only when it has been away for long. */
  readonly reachOfCheck: (position: number) => Reach;
}

export interface Decision {
  /** As it is to be recorded; the same object when nothing changed. */
  readonly progress: RolloutProgress;
  /** These come to their turn now, in this order. */
  readonly begin: readonly number[];
  /** Their turn has come, and they are offline: `plan.offline` says what becomes of them. */
  readonly offline: readonly number[];
  /** These are checked now. */
  readonly check: readonly number[];
  /** They were to be checked, and are away. */
  readonly uncheckable: readonly number[];
  /** They are never checked: their jobs have failed, or never ran. */
  readonly unchecked: readonly number[];
  /** When there may be something else to do, if nothing happens before. */
  readonly wakeAt: number | undefined;
}

/** How a roll-out stands, for people. */
export interface RolloutStand {
  readonly state: RolloutState;
  readonly reason?: "check" | "pause" | "confirm" | "operator" | "max_failures";
  readonly by?: string;
  readonly until?: number;
}

export function decide(view: RolloutView, now: number): Decision {
  const { progress } = view;
  if (progress.over !== undefined) return { ...nothing, progress };
  return new Deciding(view, now).decision;
}

const nothing = {
  begin: [],
  offline: [],
  check: [],
  uncheckable: [],
  unchecked: [],
  wakeAt: undefined,
} as const satisfies Omit<Decision, "progress">;

export function standOf({ plan, progress, hosts, checks }: RolloutView): RolloutStand {
  const { over, pausedBy, gate } = progress;
  if (over === "done") return { state: "done" };
  if (over !== undefined) return { state: "stopped", ...over };
  if (pausedBy !== undefined) return { state: "paused", reason: "operator", by: pausedBy };
  if (gate?.kind === "confirm") return { state: "paused", reason: "confirm" };
  if (gate?.kind === "pause") return { state: "waiting", reason: "pause", until: gate.endsAt };
  const isChecking =
    checks !== undefined &&
    isBegun(hosts, plan.stageEnds[progress.stage]!) &&
    hosts.some((turn, position) => turn === "succeeded" && isOpen(checks[position]!));
  return isChecking ? { state: "waiting", reason: "check" } : { state: "running" };
}

/** How many hosts have failed: themselves or their check, and those that cannot be reached. */
export function failuresOf({ hosts, checks }: Pick<RolloutView, "hosts" | "checks">): number {
  let failures = 0;
  // By index, here and below: asked at each change of ten thousand hosts.
  for (let position = 0; position < hosts.length; position++) {
    const turn = hosts[position];
    if (turn === "failed" || turn === "stalled") failures++;
    else if (turn === "succeeded" && isFailed(checks?.[position])) failures++;
  }
  return failures;
}

function isFailed(check: CheckTurn | undefined): boolean {
  return check === "failed" || check === "stalled";
}

function isOpen(check: CheckTurn): boolean {
  return check === "waiting" || check === "active";
}

/** The stages up to `end` have had their turn, and nothing of them runs. */
function isBegun(hosts: readonly HostTurn[], end: number): boolean {
  for (let position = 0; position < hosts.length; position++) {
    const turn = hosts[position];
    if (turn === "active" || (turn === "waiting" && position < end)) return false;
  }
  return true;
}

class Deciding {
  readonly #view: RolloutView;
  readonly #now: number;
  /** As they will stand when this decision is carried out. */
  readonly #hosts: HostTurn[];
  readonly #checks: CheckTurn[] | undefined;
  // Counted once and kept: ten thousand stages of hosts that are offline may pass in one decision.
  readonly #counts: Record<HostTurn, number>;
  /** Checks of hosts that have succeeded, and that have not ended. */
  #openChecks = 0;
  /** What stands before this position has had its look in this decision. */
  #next = 0;
  #progress: RolloutProgress;
  #failures: number;
  #wakeAt: number | undefined;
  readonly #begin: number[] = [];
  readonly #offline: number[] = [];
  readonly #check: number[] = [];
  readonly #uncheckable: number[] = [];
  readonly #unchecked: number[] = [];

  constructor(view: RolloutView, now: number) {
    this.#view = view;
    this.#now = now;
    this.#hosts = [...view.hosts];
    this.#checks = view.checks === undefined ? undefined : [...view.checks];
    this.#progress = view.progress;
    this.#failures = failuresOf(view);
    this.#counts = { waiting: 0, queued: 0, active: 0, stalled: 0, succeeded: 0, failed: 0, out: 0 };
    for (let position = 0; position < this.#hosts.length; position++) {
      const turn = this.#hosts[position]!;
      this.#counts[turn]++;
      const check = this.#checks?.[position];
      if (turn === "succeeded" && check !== undefined && isOpen(check)) this.#openChecks++;
    }
    this.#decide();
  }

  get decision(): Decision {
    return {
      progress: this.#progress,
      begin: this.#begin,
      offline: this.#offline,
      check: this.#check,
      uncheckable: this.#uncheckable,
      unchecked: this.#unchecked,
      wakeAt: this.#wakeAt,
    };
  }

  #decide(): void {
    if (this.#hasFailed()) return;
    this.#dropChecks();
    while (!this.#isDone()) {
      const { pausedBy, gate } = this.#progress;
      if (pausedBy !== undefined) return;
      if (gate === undefined) {
        this.#beginHosts();
        if (this.#progress.over !== undefined || this.#counts.active > 0 || this.#next < this.#stageEnd)
          return;
        this.#beginChecks();
        if (this.#progress.over !== undefined || this.#openChecks > 0 || this.#isLast) return;
      }
      if (!this.#passGate()) return;
    }
  }

  get #stageEnd(): number {
    return this.#view.plan.stageEnds[this.#progress.stage]!;
  }

  get #isLast(): boolean {
    return this.#progress.stage === this.#view.plan.stageEnds.length - 1;
  }

  #turns(position: number, turn: HostTurn): void {
    this.#counts[this.#hosts[position]!]--;
    this.#counts[turn]++;
    this.#hosts[position] = turn;
  }

  #hasFailed(): boolean {
    const { maxFailures } = this.#view.plan;
    if (maxFailures === undefined || this.#failures <= maxFailures) return false;
    this.#progress = { ...this.#progress, over: { reason: "max_failures" } };
    return true;
  }

  /** Nobody is left to have a turn, and nothing runs. What its gates would wait for is of no use to anybody then. */
  #isDone(): boolean {
    const { waiting, queued, active } = this.#counts;
    if (waiting + queued + active + this.#openChecks > 0) return false;
    // Of hosts that are away.
    for (const [position, check] of this.#checks?.entries() ?? []) {
      if (check === "waiting") this.#unchecked.push(position);
    }
    this.#progress = { stage: this.#view.plan.stageEnds.length - 1, over: "done" };
    return true;
  }

  #dropChecks(): void {
    if (this.#checks === undefined) return;
    for (let position = 0; position < this.#hosts.length; position++) {
      const turn = this.#hosts[position];
      if (turn === "failed" || turn === "out") this.#dropCheck(position);
    }
  }

  #dropCheck(position: number): void {
    if (this.#checks?.[position] !== "waiting") return;
    this.#checks[position] = "failed";
    this.#unchecked.push(position);
  }

  /** In the order of their positions, those from the queue that are back among them. */
  #beginHosts(): void {
    const { plan, reach } = this.#view;
    const { active, succeeded } = this.#counts;
    const cap = plan.slowStart ? Math.min(plan.concurrency, 1 + succeeded) : plan.concurrency;
    let places = cap - active;
    for (; this.#next < this.#stageEnd && places > 0; this.#next++) {
      const position = this.#next;
      const turn = this.#hosts[position];
      if (turn !== "waiting" && turn !== "queued") continue;
      const reached = reach(position);
      if (reached === "connected") {
        this.#turns(position, "active");
        this.#begin.push(position);
        places--;
      } else if (turn === "waiting") {
        // Nobody overtakes a host of which it is not known yet whether it will come.
        if (reached === "away") return;
        this.#isOffline(position);
        if (this.#hasFailed()) return;
      }
    }
  }

  #isOffline(position: number): void {
    this.#offline.push(position);
    switch (this.#view.plan.offline) {
      case "fail":
        this.#turns(position, "failed");
        this.#failures++;
        break;
      case "skip":
        this.#turns(position, "out");
        break;
      case "queue":
        this.#turns(position, "queued");
        return;
    }
    this.#dropCheck(position);
  }

  /** Of every host so far, not of this stage only: one of an earlier stage may have come back late. */
  #beginChecks(): void {
    const checks = this.#checks;
    if (checks === undefined || this.#openChecks === 0) return;
    let places = this.#view.plan.concurrency - checks.filter((check) => check === "active").length;
    for (const [position, turn] of this.#hosts.entries()) {
      if (turn !== "succeeded" || checks[position] !== "waiting") continue;
      const reached = this.#view.reachOfCheck(position);
      if (reached === "offline") {
        checks[position] = "failed";
        this.#openChecks--;
        this.#uncheckable.push(position);
        this.#failures++;
        if (this.#hasFailed()) return;
      } else if (reached === "connected" && places > 0) {
        checks[position] = "active";
        this.#check.push(position);
        places--;
      }
    }
  }

  /** Returns whether the next stage begins. */
  #passGate(): boolean {
    const { plan } = this.#view;
    const { stage, gate } = this.#progress;
    if (gate === undefined && plan.pauseMs > 0) {
      this.#progress = { ...this.#progress, gate: { kind: "pause", endsAt: this.#now + plan.pauseMs } };
      return this.#passGate();
    }
    if (gate?.kind === "pause" && this.#now < gate.endsAt) {
      // Somebody has set the time back: it is not to wait for longer than it was told to.
      if (gate.endsAt - this.#now > plan.pauseMs) {
        this.#progress = { ...this.#progress, gate: { kind: "pause", endsAt: this.#now + plan.pauseMs } };
        return this.#passGate();
      }
      this.#wakeAt = gate.endsAt;
      return false;
    }
    if (gate?.kind === "confirm") return false;
    if (plan.confirm) {
      this.#progress = { ...this.#progress, gate: { kind: "confirm" } };
      return false;
    }
    this.#progress = { stage: stage + 1 };
    return true;
  }
}
