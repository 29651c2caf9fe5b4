/** Sums the ends of all hosts up. */
import type { HostName, JobId, RolloutInfo } from "@outpost/protocol";
import type { ExitEvent, SummaryEvent } from "./events.ts";
import { ExitCode, exitCodeOf, outcomeOf, type Outcome } from "./exit-code.ts";

/**
 * The exit code of the whole is the highest of its hosts'.
 * @param rollout how its roll-out stands: failures that are not to be seen in the ends of hosts, as of a check that is forgotten
 */
export function summarise(job: JobId, exits: Iterable<ExitEvent>, rollout?: RolloutInfo): SummaryEvent {
  const hosts: Record<Outcome, HostName[]> = {
    succeeded: [],
    failed: [],
    checkFailed: [],
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
    const outcome = outcomeOf(event);
    hosts[outcome].push(event.host);
    // What a host itself has exited with says more than that a check has failed.
    if (outcome !== "checkFailed") exitCode = Math.max(exitCode, exitCodeOf(event));
  }
  const hasFailed = hosts.checkFailed.length > 0 || (rollout?.failures ?? 0) > 0;
  if (exitCode === ExitCode.succeeded && hasFailed) exitCode = ExitCode.rollout;
  for (const list of Object.values(hosts)) list.sort();
  return { type: "summary", job, exitCode, ...hosts };
}
