/** What whoever follows a roll-out is told of it, a line for each change. */
import type { RolloutInfo } from "@outpost/protocol";
import { durationText } from "./duration.ts";
import { clockText } from "./render/ending.ts";

/** The job that is rolled out. */
export interface RolledOut {
  /** As the command line calls it. */
  readonly title: string;
  readonly hosts: number;
}

/**
 * The line for a change, if it is worth one.
 * @param before how it stood; undefined at first
 */
export function rolloutNotice(
  rollout: RolloutInfo,
  before: RolloutInfo | undefined,
  job: RolledOut,
  now: number = Date.now(),
): string | undefined {
  const { state, stage, stages, until } = rollout;
  switch (state) {
    case "running":
      if (before?.state === "paused" && before.stage === stage) return `goes on with ${stageText(rollout)}`;
      if (stages === 1 || before?.stage === stage) return undefined;
      return `${stageText(rollout)} begins${before === undefined ? "" : `; ${String(rollout.failures)} failed so far`}`;
    case "waiting":
      if (rollout.reason === "check") {
        const see = rollout.check === undefined ? "" : ` (see outpost job receive ${rollout.check} --keep)`;
        return `${stageText(rollout)} has ended and is being checked${see}`;
      }
      return `${stageText(rollout)} has ended; the next one begins ${until === undefined ? "soon" : `in ${durationText(Math.ceil((until - now) / 1000) * 1000)}`}`;
    case "paused":
      return `${pausedText(rollout, job.hosts)}; to go on: outpost job resume ${job.title}`;
    case "stopped":
      return stoppedText(rollout);
    case "done":
      return undefined;
    default:
      return state satisfies never;
  }
}

/** `paused by ada in stage 2 of 5`, `stage 2 of 5 has ended and waits for somebody to confirm it`. */
export function pausedText(rollout: RolloutInfo, hosts: number): string {
  if (rollout.reason === "confirm") {
    return `${stageText(rollout)} has ended (${String(rollout.begun)} of ${hostsText(hosts)}, ${String(rollout.failures)} failed) and waits to be confirmed`;
  }
  return `paused${byText(rollout.by)} in ${stageText(rollout)}`;
}

function stoppedText(rollout: RolloutInfo): string {
  const { reason, by, failures, maxFailures = 0 } = rollout;
  if (reason !== "max_failures") return `the roll-out was stopped${byText(by)}`;
  const have = failures === 1 ? "has" : "have";
  const may = maxFailures === 0 ? "none may" : `only ${String(maxFailures)} may`;
  return `the roll-out was stopped: ${hostsText(failures)} ${have} failed, and ${may}`;
}

/** How it stands, in one line. */
export function rolloutText(
  rollout: RolloutInfo,
  { title, hosts }: RolledOut,
  now: number = Date.now(),
): string {
  const { state, reason, by, until, begun, failures, maxFailures } = rollout;
  const allowed = maxFailures === undefined ? "" : ` (of ${String(maxFailures)} allowed)`;
  const counts = `${String(begun)} of ${hostsText(hosts)} begun, ${String(failures)} failed${allowed}`;
  const where = `${stageText(rollout)}, ${counts}`;
  switch (state) {
    case "running":
      return where;
    case "waiting":
      return reason === "check"
        ? `${where}, being checked`
        : `${where}, the next stage begins ${until === undefined ? "soon" : `at ${clockText(until, now)}`}`;
    case "paused":
      return `${where}; ${reason === "confirm" ? "waits to be confirmed" : `paused${byText(by)}`}: outpost job resume ${title}`;
    case "stopped":
      return `${where}; stopped${reason === "operator" ? byText(by) : " for that"}`;
    case "done":
      return `done, ${counts}`;
    default:
      return state satisfies never;
  }
}

/** `stage 2 of 5`. */
export function stageText({ stage, stages }: RolloutInfo): string {
  return `stage ${String(stage)} of ${String(stages)}`;
}

function byText(by: string | undefined): string {
  return by === undefined ? "" : ` by ${by}`;
}

function hostsText(count: number): string {
  return count === 1 ? "1 host" : `${String(count)} hosts`;
}
