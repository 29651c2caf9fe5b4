/**
 * What a roll-out is to do, with all shares made numbers, and what the catalogue keeps of one. The jobs of its fan-out job stand
 * in the order of their turns, so a host is known here by its position.
 */
import type { JobId, Offline, Rollout, RolloutInfo } from "@outpost/protocol";
import { concurrencyOf, failureLimitOf, stagesOf } from "@outpost/protocol/rollout";

/** Everything else is derived from the jobs. What is written down is enough to go on after a crash as if there had been none. */
export interface RolloutProgress {
  /** The stage that it is in, from 0. */
  readonly stage: number;
  /** That stage is over, and what lies between it and the next is the pause, or somebody's word. */
  readonly gate?: { readonly kind: "pause"; readonly endsAt: number } | { readonly kind: "confirm" };
  /** An operator has paused it. */
  readonly pausedBy?: string;
  /** It is over. */
  readonly over?:
    | "done"
    | { readonly reason: "max_failures" }
    | { readonly reason: "operator"; readonly by: string };
}

export interface RolloutRecord {
  readonly rollout: Rollout;
  readonly offline: Offline;
  /** The fan-out job of its check. */
  readonly check?: JobId;
  readonly progress: RolloutProgress;
  /** How it stood when it and all of its jobs were over. */
  readonly ended?: RolloutInfo;
}

export interface RolloutPlan {
  /** The position behind the last host of each stage; none is empty. */
  readonly stageEnds: readonly number[];
  readonly concurrency: number;
  readonly slowStart: boolean;
  /** More failures than this end it. */
  readonly maxFailures: number | undefined;
  readonly pauseMs: number;
  readonly confirm: boolean;
  readonly offline: Offline;
}

export const firstProgress: RolloutProgress = { stage: 0 };

/** @param total how many hosts there are, at least one */
export function planOf({ rollout, offline, check }: RolloutRecord, total: number): RolloutPlan {
  let end = 0;
  return {
    stageEnds: stagesOf(total, rollout).map((size) => (end += size)),
    concurrency: concurrencyOf(total, rollout),
    slowStart: rollout.slowStart ?? false,
    maxFailures: failureLimitOf(total, rollout, check !== undefined),
    pauseMs: rollout.pauseMs ?? 0,
    confirm: rollout.confirm ?? false,
    offline,
  };
}
