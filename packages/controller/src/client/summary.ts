/** Sums the ends of all hosts up. */
import type { HostName, JobId } from "@outpost/protocol";
import type { ExitEvent, SummaryEvent } from "./events.ts";
import { exitCodeOf, outcomeOf, type Outcome } from "./exit-code.ts";

/** The exit code of the whole is the highest of its hosts'. */
export function summarise(job: JobId, exits: Iterable<ExitEvent>): SummaryEvent {
  const hosts: Record<Outcome, HostName[]> = {
    succeeded: [],
    failed: [],
    timedOut: [],
    stopped: [],
    lost: [],
    unreachable: [],
    running: [],
  };
  let exitCode = 0;
  for (const event of exits) {
    hosts[outcomeOf(event)].push(event.host);
    exitCode = Math.max(exitCode, exitCodeOf(event));
  }
  for (const list of Object.values(hosts)) list.sort();
  return { type: "summary", job, exitCode, ...hosts };
}
