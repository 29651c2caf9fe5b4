/**
 * The state machine against hosts that succeed, fail, vanish and come back, operators who pause, resume and stop, and an engine
 * that dies between any two steps: by properties over many made-up fleets.
 */
import type { Offline, Rollout, Share } from "@outpost/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CheckTurn,
  decide,
  failuresOf,
  type HostTurn,
  type Reach,
  type RolloutView,
  standOf,
} from "./rollout.ts";
import { firstProgress, planOf, type RolloutPlan, type RolloutProgress } from "./rollout-plan.ts";

/** What becomes of a host once it is begun, and whether it is there. */
interface Fate {
  /** Of the job, of its check. */
  readonly succeeds: boolean;
  readonly isFine: boolean;
  /** Offline when its turn comes. */
  readonly isOffline: boolean;
  /** Is lost in the middle, and comes back (or does not). */
  readonly vanishes: "never" | "returns" | "for good";
}

const job = { succeeds: true, isFine: true, isOffline: false, vanishes: "never" } as const satisfies Fate;

/** A fleet and a catalogue, without any clock but its own steps. */
class Model {
  readonly plan: RolloutPlan;
  readonly fates: readonly Fate[];
  readonly hosts: HostTurn[];
  readonly checks: CheckTurn[] | undefined;
  readonly reach: Reach[];
  readonly begun: number[] = [];
  readonly checked: number[] = [];
  progress: RolloutProgress = firstProgress;
  now = 0;

  constructor(rollout: Rollout, offline: Offline, hasCheck: boolean, fates: readonly Fate[]) {
    const check = hasCheck ? { check: "c" as never } : {};
    this.plan = planOf({ rollout, offline, progress: firstProgress, ...check }, fates.length);
    this.fates = fates;
    this.hosts = fates.map(() => "waiting");
    this.checks = hasCheck ? fates.map(() => "waiting") : undefined;
    this.reach = fates.map(({ isOffline }) => (isOffline ? "offline" : "connected"));
  }

  get view(): RolloutView {
    return {
      plan: this.plan,
      progress: this.progress,
      hosts: this.hosts,
      checks: this.checks,
      reach: (position) => this.reach[position]!,
      reachOfCheck: (position) => this.reach[position]!,
    };
  }

  get state(): string {
    return standOf(this.view).state;
  }

  /** One decision, carried out with everything that must hold of it. @returns whether anything was done */
  step(): boolean {
    const { plan } = this;
    const wasOver = this.progress.over !== undefined;
    const wasPaused = this.state === "paused";
    const failures = failuresOf(this.view);
    const decision = decide(this.view, this.now);
    const { begin, offline, check, uncheckable, unchecked } = decision;
    const isStill = decision.progress === this.progress;
    const stage = this.progress.stage;
    this.progress = decision.progress;
    const sizes = [begin, offline, check, uncheckable, unchecked].map((each) => each.length);
    if (wasOver) expect(sizes).toEqual([0, 0, 0, 0, 0]);
    if (wasPaused) expect([begin, offline, check].flat()).toEqual([]);
    if (plan.maxFailures !== undefined && failures > plan.maxFailures) {
      expect([begin, check].flat(), "nothing begins after too many failures").toEqual([]);
    }
    for (const position of offline) {
      expect(this.hosts[position]).toBe("waiting");
      this.hosts[position] = ({ fail: "failed", skip: "out", queue: "queued" } as const)[plan.offline];
    }
    for (const position of begin) {
      expect(["waiting", "queued"], "every host begins at most once").toContain(this.hosts[position]);
      expect(position, "no host begins before its stage").toBeLessThan(plan.stageEnds[this.progress.stage]!);
      this.hosts[position] = "active";
      this.begun.push(position);
    }
    const active = this.hosts.filter((turn) => turn === "active").length;
    const succeeded = this.hosts.filter((turn) => turn === "succeeded").length;
    const window = plan.slowStart ? Math.min(plan.concurrency, 1 + succeeded) : plan.concurrency;
    if (begin.length > 0) expect(active, "the window").toBeLessThanOrEqual(window);
    for (const position of check) {
      expect(this.hosts[position]).toBe("succeeded");
      expect(this.checks![position], "every host is checked at most once").toBe("waiting");
      this.checks![position] = "active";
      this.checked.push(position);
    }
    if (check.length > 0) {
      const checking = this.checks!.filter((turn) => turn === "active").length;
      expect(checking, "the window of checks").toBeLessThanOrEqual(plan.concurrency);
    }
    for (const position of [...uncheckable, ...unchecked]) {
      expect(this.checks![position]).toBe("waiting");
      this.checks![position] = "failed";
    }
    if (this.progress.stage > stage) this.expectStageOver(stage);
    if (typeof this.progress.over === "object") {
      this.withhold();
      expect(this.hosts).not.toContain("waiting");
    }
    return !isStill || sizes.some((size) => size > 0);
  }

  /** What whoever carries it out does when it is stopped. */
  withhold(): void {
    for (const [position, turn] of this.hosts.entries()) {
      if (turn === "waiting" || turn === "queued") this.hosts[position] = "out";
    }
    for (const [position, turn] of this.checks?.entries() ?? []) {
      if (turn === "waiting") this.checks![position] = "failed";
    }
  }

  expectStageOver(stage: number): void {
    const end = this.plan.stageEnds[stage]!;
    for (let position = 0; position < end; position++) {
      // One that was waited for holds nothing up, and may begin with a later stage.
      if (this.fates[position]!.isOffline) continue;
      expect(["waiting", "active"], "a stage ends before the next begins").not.toContain(
        this.hosts[position],
      );
      // One that comes back when its stage is over already is checked with the next.
      if (this.hosts[position] !== "succeeded" || this.fates[position]!.vanishes !== "never") continue;
      expect(["waiting", "active"], "so does its check").not.toContain(this.checks?.[position] ?? "");
    }
  }

  settle(): void {
    while (this.step());
  }

  /** Something happens to one host. */
  happen(position: number): void {
    const fate = this.fates[position]!;
    const turn = this.hosts[position];
    if (turn === "active" && fate.vanishes !== "never" && this.reach[position] === "connected") {
      this.hosts[position] = "stalled";
      this.reach[position] = "offline";
    } else if (turn === "active" || (turn === "stalled" && fate.vanishes === "returns")) {
      this.reach[position] = "connected";
      this.hosts[position] = fate.succeeds ? "succeeded" : "failed";
    } else if (turn === "queued") {
      this.reach[position] = "connected";
    } else if (this.checks?.[position] === "active") {
      this.checks[position] = fate.isFine ? "succeeded" : "failed";
    }
  }

  /** Time passes, the last ones come or expire, and nobody leaves it paused. */
  finish(): void {
    for (let round = 0; round < 10_000; round++) {
      this.settle();
      if (this.progress.over !== undefined) return;
      this.now += 100_000;
      const { pausedBy: _paused, gate, ...rest } = this.progress;
      this.progress =
        gate?.kind === "confirm" ? { stage: rest.stage + 1 } : { ...rest, ...(gate && { gate }) };
      for (const position of this.hosts.keys()) this.happen(position);
    }
    throw new Error(`it does not end: ${JSON.stringify([this.hosts, this.checks, this.progress])}`);
  }
}

const share: fc.Arbitrary<Share> = fc.oneof(
  fc.record({ hosts: fc.nat(6) }),
  fc.record({ percent: fc.nat(100) }),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const rollout: fc.Arbitrary<Rollout> = fc.record({
  concurrency: maybe(share),
  slowStart: maybe(fc.boolean()),
  canary: maybe(share),
  batch: maybe(share),
  pauseMs: maybe(fc.nat(1_000)),
  confirm: maybe(fc.boolean()),
  maxFailures: maybe(share),
});
const fate: fc.Arbitrary<Fate> = fc.record({
  succeeds: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.boolean()),
  isFine: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.boolean()),
  isOffline: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.boolean()),
  vanishes: fc.oneof(
    { weight: 5, arbitrary: fc.constant("never" as const) },
    fc.constantFrom("returns" as const, "for good" as const),
  ),
});
const fleet = fc.record({
  rollout,
  offline: fc.constantFrom<Offline>("fail", "skip", "queue"),
  hasCheck: fc.boolean(),
  fates: fc.array(fate, { minLength: 1, maxLength: 12 }),
});
/** Which hosts something happens to, and what operators do, step by step. */
const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("host" as const), position: fc.nat(11) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("time" as const), ms: fc.nat(500) }) },
  fc.record({ kind: fc.constantFrom("pause" as const, "resume" as const) }),
);
const events = fc.array(event, { maxLength: 60 });

function play(model: Model, { kind, ...event }: { kind: string; position?: number; ms?: number }): void {
  const { progress } = model;
  if (kind === "host" && event.position! < model.hosts.length) model.happen(event.position!);
  else if (kind === "time") model.now += event.ms!;
  else if (progress.over !== undefined) return;
  else if (kind === "pause") model.progress = { ...progress, pausedBy: "ada" };
  else if (kind === "resume") {
    const { pausedBy, gate, stage } = progress;
    if (pausedBy !== undefined) model.progress = { stage, ...(gate === undefined ? {} : { gate }) };
    else if (gate !== undefined) model.progress = { stage: stage + 1 };
  }
}

describe("a roll-out", () => {
  test("keeps its window, its order and its limits, and ends", () => {
    fc.assert(
      fc.property(fleet, events, ({ rollout: asked, offline, hasCheck, fates }, happened) => {
        const model = new Model(asked, offline, hasCheck, fates);
        model.settle();
        for (const one of happened) {
          play(model, one);
          model.settle();
        }
        model.finish();
        expect(["done", "stopped"]).toContain(model.state);
        expect(new Set(model.begun).size).toBe(model.begun.length);
        expect(new Set(model.checked).size).toBe(model.checked.length);
        // In their order, but for those who had to come back first.
        const waited = new Set(fates.flatMap(({ isOffline }, position) => (isOffline ? [position] : [])));
        const punctual = model.begun.filter((position) => !waited.has(position));
        expect(punctual).toEqual([...punctual].sort((one, other) => one - other));
        if (model.state === "done") {
          const { maxFailures } = model.plan;
          expect(model.hosts).not.toContain("waiting");
          expect(model.checks ?? []).not.toContain("waiting");
          if (maxFailures !== undefined) expect(failuresOf(model.view)).toBeLessThanOrEqual(maxFailures);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("that is killed and loaded between any two steps goes on as if it had not been", () => {
    fc.assert(
      fc.property(fleet, events, ({ rollout: asked, offline, hasCheck, fates }, happened) => {
        const [whole, killed] = [0, 1].map(() => new Model(asked, offline, hasCheck, fates));
        for (const one of [{ kind: "time" as const, ms: 0 }, ...happened]) {
          for (const model of [whole!, killed!]) play(model, one);
          whole!.settle();
          // All that survives is what was recorded.
          while (killed!.step())
            killed!.progress = JSON.parse(JSON.stringify(killed!.progress)) as RolloutProgress;
          expect(killed!.hosts).toEqual(whole!.hosts);
          expect(killed!.progress).toEqual(whole!.progress);
        }
        expect(killed!.begun).toEqual(whole!.begun);
        expect(killed!.checked).toEqual(whole!.checked);
      }),
    );
  });

  test("in which nothing fails is done everywhere", () => {
    fc.assert(
      fc.property(fleet, ({ rollout: asked, offline, hasCheck, fates }) => {
        const model = new Model(
          asked,
          offline,
          hasCheck,
          fates.map(() => job),
        );
        model.finish();
        expect(model.state).toBe("done");
        expect(model.hosts.every((turn) => turn === "succeeded")).toBe(true);
        if (hasCheck) expect(model.checks!.every((turn) => turn === "succeeded")).toBe(true);
      }),
    );
  });
});

describe("one decision", () => {
  const model = (
    asked: Rollout,
    hasCheck = false,
    fates: readonly Fate[] = Array.from({ length: 6 }, () => job),
  ) => new Model(asked, "fail", hasCheck, fates);
  const end = (one: Model, turn: HostTurn): void => {
    for (const [position, each] of one.hosts.entries()) if (each === "active") one.hosts[position] = turn;
    one.settle();
  };

  test("with slow start: one, and one more for each that has succeeded", () => {
    const slow = model({ slowStart: true, concurrency: { hosts: 4 } });
    slow.settle();
    expect(slow.begun).toEqual([0]);
    end(slow, "succeeded");
    expect(slow.begun).toEqual([0, 1, 2]);
    end(slow, "succeeded");
    expect(slow.begun).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("a canary that fails ends it; nobody else has begun", () => {
    const canary = model({ canary: { hosts: 1 } });
    canary.settle();
    end(canary, "failed");
    expect(standOf(canary.view)).toEqual({ state: "stopped", reason: "max_failures" });
    expect(canary.begun).toEqual([0]);
  });

  test("check, pause, and somebody's word stand between two stages, in this order", () => {
    const gated = model({ canary: { hosts: 2 }, pauseMs: 1_000, confirm: true }, true);
    gated.settle();
    end(gated, "succeeded");
    expect(standOf(gated.view)).toEqual({ state: "waiting", reason: "check" });
    expect(gated.checked).toEqual([0, 1]);
    gated.checks!.fill("succeeded", 0, 2);
    gated.settle();
    expect(standOf(gated.view)).toEqual({ state: "waiting", reason: "pause", until: 1_000 });
    gated.now = 1_000;
    gated.settle();
    expect(standOf(gated.view)).toEqual({ state: "paused", reason: "confirm" });
    expect(gated.begun).toEqual([0, 1]);
  });

  test("a host that is on its way back after a restart is waited for, and nobody overtakes it", () => {
    const early = model({ concurrency: { hosts: 2 } });
    early.reach[1] = "away";
    early.settle();
    expect(early.begun).toEqual([0]);
    early.reach[1] = "connected";
    early.settle();
    expect(early.begun).toEqual([0, 1]);
  });

  test("a host that stays away gives its place to another, and takes its failure back when it completes", () => {
    const away = model({ concurrency: { hosts: 1 }, maxFailures: { hosts: 1 } });
    away.settle();
    away.hosts[0] = "stalled";
    away.settle();
    expect(away.begun).toEqual([0, 1]);
    expect(failuresOf(away.view)).toBe(1);
    away.hosts[0] = "succeeded";
    expect(failuresOf(away.view)).toBe(0);
  });

  test("what nobody can begin any more is waited for by no gate", () => {
    const left = model({ canary: { hosts: 2 }, confirm: true });
    left.settle();
    end(left, "succeeded");
    expect(left.state).toBe("paused");
    left.hosts.fill("out", 2);
    left.settle();
    expect(left.state).toBe("done");
  });
});

test("a decision over thousands of stages asks once of each host whether it is there", () => {
  const hosts = 5_000;
  for (const offline of ["skip", "queue"] as const) {
    const fates = Array.from({ length: hosts }, () => ({ ...job, isOffline: true }));
    const model = new Model({ batch: { hosts: 1 }, concurrency: { hosts: 1 } }, offline, true, fates);
    let asked = 0;
    const reach = (): Reach => (asked++, "offline");
    const decision = decide({ ...model.view, reach, reachOfCheck: reach }, 0);
    expect(decision.offline).toHaveLength(hosts);
    expect(asked).toBe(hosts);
  }
});
