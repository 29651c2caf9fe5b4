/** On which hosts the check of a roll-out did not complete, and how it ended there. */
import { ErrorCode, type JobId, type JobInfo, OutpostError } from "@outpost/protocol";
import type { Connection } from "./connection.ts";
import type { CheckEvent, ExitEvent } from "./events.ts";

/** None, too, when the check's job was removed, or is not for us to see. */
export async function failedChecks(
  connection: Connection,
  { job, check }: { readonly job: JobId; readonly check: JobId },
  signal?: AbortSignal,
): Promise<readonly CheckEvent[]> {
  try {
    const { viewOf } = await import("./job-view.ts");
    const { jobs } = await viewOf(connection, check, signal);
    return jobs.flatMap((info) => (hasFailed(info) ? [checkEvent(info, job, check)] : []));
  } catch (error) {
    const { code } = OutpostError.from(error);
    if (code === ErrorCode.notFound || code === ErrorCode.denied) return [];
    throw error;
  }
}

/** The ends of hosts, of which those that completed are marked where the check has failed. */
export function withFailedChecks<T extends ExitEvent>(
  exits: readonly T[],
  checks: readonly CheckEvent[],
): readonly T[] {
  const failed = new Map(checks.map((event) => [event.host, event]));
  return exits.map((exit) => {
    const failedCheck = failed.get(exit.host);
    return failedCheck === undefined ? exit : { ...exit, failedCheck };
  });
}

function hasFailed({ status: { state }, unreachableSince, queued }: JobInfo): boolean {
  if (queued !== undefined) return false;
  if (state === "pending" || state === "running") return unreachableSince !== undefined;
  return state === "failed" || state === "lost";
}

function checkEvent({ host, status, unreachableSince }: JobInfo, job: JobId, check: JobId): CheckEvent {
  const { state, exit, reason } = status;
  return {
    type: "check",
    job,
    host,
    check,
    ended: state !== "pending" && state !== "running",
    state,
    ...(exit === undefined ? {} : { exit }),
    ...(reason === undefined ? {} : { reason }),
    ...(unreachableSince === undefined ? {} : { unreachableSince }),
  };
}
