/**
 * Roll-outs: in which order and how fast the hosts of a fan-out job come to their turn. The controller carries them out, so
 * whoever asked may go away.
 *
 *     stages     canary │ batch │ batch │ …        without `batch` the rest is one stage
 *     in each    at most `concurrency` hosts at a time; with `slowStart` 1, then one more for each that succeeded
 *     between    all of the stage ended ─▶ `check` ─▶ `pauseMs` ─▶ `confirm` ─▶ the next stage
 *     at once    more than `maxFailures` ─▶ nothing more begins
 */
import * as v from "valibot";
import { JobId } from "../ids.ts";
import { DurationMs, Time } from "./stream.ts";

/** So many of the hosts: a number, or a percentage of all of them, rounded up. */
export type Share = v.InferOutput<typeof Share>;
export const Share = v.union([
  v.object({ hosts: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
  v.object({ percent: v.pipe(v.number(), v.minValue(0), v.maxValue(100)) }),
]);

/** By name (`web9` before `web10`), or at random: the same seed puts the same hosts in the same order. */
export const RolloutOrder = v.variant("kind", [
  v.object({ kind: v.literal("name") }),
  v.object({ kind: v.literal("random"), seed: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
]);
export type RolloutOrder = v.InferOutput<typeof RolloutOrder>;

export type Rollout = v.InferOutput<typeof Rollout>;
export const Rollout = v.object({
  /** Default by name. */
  order: v.optional(RolloutOrder),
  /** At most so many hosts at a time, at least one. Default all. */
  concurrency: v.optional(Share),
  /** True: one host at first, and one more at a time for each that has succeeded, up to `concurrency`. Default false. */
  slowStart: v.optional(v.boolean()),
  /** The first stage, at least one host. Default none. */
  canary: v.optional(Share),
  /** The stages after it, at least one host each. Default all that are left. */
  batch: v.optional(Share),
  /** How long to wait between stages, in milliseconds. Default 0. */
  pauseMs: v.optional(DurationMs),
  /** True: between stages it is paused until `fanout.resume`. Default false. */
  confirm: v.optional(v.boolean()),
  /** With more failed hosts than this nothing more begins. Default: with `canary` or a check none may fail; else no limit. */
  maxFailures: v.optional(Share),
});

/** What to do about hosts that have no connection: end their jobs as `host_unreachable`, leave these hosts out (`skipped`), or
 * deliver the start when they are back, until it expires. */
export const Offline = v.picklist(["fail", "skip", "queue"]);
export type Offline = v.InferOutput<typeof Offline>;

/**
 *     running ──▶ waiting (for the check, the pause) ──▶ running ──▶ done
 *        │  ▲        │
 *        ▼  └────────┴─ fanout.resume
 *     paused         any of them ──▶ stopped (too many failures, fanout.stop): what has not begun never does
 */
export const RolloutState = v.picklist(["running", "waiting", "paused", "done", "stopped"]);
export type RolloutState = v.InferOutput<typeof RolloutState>;

/** How a roll-out stands. */
export type RolloutInfo = v.InferOutput<typeof RolloutInfo>;
export const RolloutInfo = v.object({
  state: RolloutState,
  /** Why it is waiting (`check`, `pause`), paused (`confirm`, `operator`) or stopped (`max_failures`, `operator`). */
  reason: v.optional(v.picklist(["check", "pause", "confirm", "operator", "max_failures"])),
  /** The operator whose doing it was, with reason `operator`. */
  by: v.optional(v.string()),
  /** When a pause ends. */
  until: v.optional(Time),
  /** The stage that it is in, from 1; the last one when it is over. */
  stage: v.number(),
  stages: v.number(),
  /** How many hosts have had their turn, and how many wait for it. */
  begun: v.number(),
  waiting: v.number(),
  /** How many hosts have failed, and how many may (absent: no limit). */
  failures: v.number(),
  maxFailures: v.optional(v.number()),
  /** The fan-out job that checks the hosts of each stage. */
  check: v.optional(JobId),
});
