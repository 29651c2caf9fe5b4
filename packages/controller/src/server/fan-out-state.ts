/** A fan-out job's state, derived from its jobs. */
import type { FanOutState, JobState } from "@outpost/protocol";

/** What the derivation looks at in a job. */
export interface JobView {
  readonly state: JobState;
  /** Its host has a connection. Only asked of jobs that have not ended. */
  readonly isReachable: boolean;
  /** It waits for its turn in a roll-out: it counts only when nothing else is unfinished, and says nothing about its host. */
  readonly hasTurnToCome?: boolean;
}

/** The first of these that any job has is the fan-out job's. */
const order = [
  "pending",
  "running",
  "lost",
  "failed",
  "stopped",
  "completed",
] as const satisfies FanOutState[];

/** `disconnected` when there are unfinished jobs and none of their hosts can be reached. */
export function deriveState(jobs: Iterable<JobView>): FanOutState {
  const seen = new Set<JobState>();
  let isReachable = false;
  let isTurnToCome = false;
  for (const job of jobs) {
    if (job.hasTurnToCome === true) {
      isTurnToCome = true;
      continue;
    }
    seen.add(job.state);
    if (job.state === "pending" || job.state === "running") isReachable ||= job.isReachable;
  }
  if (isTurnToCome) return seen.has("running") || seen.has("pending") ? "running" : "pending";
  const state = order.find((candidate) => seen.has(candidate)) ?? "completed";
  return (state === "pending" || state === "running") && !isReachable ? "disconnected" : state;
}
