/** Sums the ends of all hosts up. */
import type { HostName, JobId, RolloutInfo } from "@outpost/protocol";
import type { ExitEvent, SummaryEvent } from "./events.ts";
import { ExitCode, exitCodeOf, outcomeOf, type Outcome } from "./exit-code.ts";

/**
 * The exit code of the whole is the highest of its hosts'.
 * @param rollout how its roll-out stands: hosts that only its check has failed on have succeeded by themselves
 */
export function summarise(job: JobId, exits: Iterable<ExitEvent>, rollout?: RolloutInfo): SummaryEvent {
  const hosts: Record<Outcome, HostName[]> = {
    succeeded: [],
    failed: [],
    timedOut: [],
    stopped: [],
    lost: [],
    unreachable: [],
    running: [],
    queued: [],
    skipped: [],
    notBegun: [],
  };
  let exitCode: number = ExitCode.succeeded;
  for (const event of exits) {
    hosts[outcomeOf(event)].push(event.host);
    exitCode = Math.max(exitCode, exitCodeOf(event));
  }
  if (exitCode === ExitCode.succeeded && (rollout?.failures ?? 0) > 0) exitCode = ExitCode.rollout;
  for (const list of Object.values(hosts)) list.sort();
  return { type: "summary", job, exitCode, ...hosts };
}
