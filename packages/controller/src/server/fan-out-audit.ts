/** The line of the audit log that says how a fan-out job has ended. */
import type { JobState } from "@outpost/protocol";
import type { Audit } from "./audit.ts";
import type { Bus } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import { namedHosts } from "./named-hosts.ts";
import { sumOfBytes } from "./sum-of-bytes.ts";

/** Says nothing of a job that no operator asked for here: its host has it in its own log. */
export function auditEnd(audit: Audit, fanOut: FanOut, bus: Bus): void {
  const { request, createdAt, endedAt = createdAt } = fanOut.record;
  if (request === undefined) return;
  const counts = new Map<JobState, number>();
  const failed: string[] = [];
  const written: number[] = [];
  for (const { status, hostName } of fanOut.jobs) {
    counts.set(status.state, (counts.get(status.state) ?? 0) + 1);
    if (status.state !== "completed") failed.push(hostName);
    written.push(status.output.stdout.written, status.output.stderr.written);
  }
  const states = [...counts].map(([state, count]) => `${String(count)} ${state}`).join(", ");
  audit.outcome(request, {
    action: "invoke",
    operator: fanOut.operator,
    subject: fanOut.id,
    outcome: fanOut.state(bus),
    message: failed.length === 0 ? states : `${states}; not completed on ${namedHosts(failed)}`,
    bytes: sumOfBytes(written),
    durationMs: Math.max(0, endedAt - createdAt),
  });
}
