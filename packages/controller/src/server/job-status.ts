/** How reports about one job combine. Pure; the rules that keep a state from lying or going back. */
import type { JobState, JobStatus, OutputExtents, StreamExtent } from "@outpost/protocol";

const rank: Record<JobState, number> = {
  pending: 0,
  running: 1,
  completed: 2,
  failed: 2,
  stopped: 2,
  lost: 2,
};

export function isEnded(status: JobStatus): boolean {
  return rank[status.state] === 2;
}

/** Ended by our own conclusion that the host no longer knows it. The host's word is better, should it come after all. */
function isConcluded(status: JobStatus): boolean {
  return status.reason?.code === "forgotten";
}

export function noOutput(): OutputExtents {
  return { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } };
}

/**
 * What is known after a host's report.
 *
 * - A job never goes back: a report that is older than what is known (a page of the inventory that a change has
 *   overtaken) adds nothing but extents.
 * - An end is final, unless we had only concluded it from the host's silence.
 */
export function mergeStatus(known: JobStatus, reported: JobStatus): JobStatus {
  const output: OutputExtents = {
    stdout: mergeExtent(known.output.stdout, reported.output.stdout),
    stderr: mergeExtent(known.output.stderr, reported.output.stderr),
  };
  const isNews = rank[reported.state] >= rank[known.state] && (!isEnded(known) || isConcluded(known));
  if (isNews) return { ...reported, output };
  return { ...known, output, ...(reported.removed === true && isEnded(known) ? { removed: true } : {}) };
}

function mergeExtent(known: StreamExtent, reported: StreamExtent): StreamExtent {
  return {
    written: Math.max(known.written, reported.written),
    received: Math.max(known.received, reported.received),
  };
}

/** Whether an operator would see a difference: all but how much was written. */
export function looksDifferent(before: JobStatus, after: JobStatus): boolean {
  return (
    before.state !== after.state ||
    before.startedAt !== after.startedAt ||
    (before.exit === undefined) !== (after.exit === undefined) ||
    before.reason?.code !== after.reason?.code ||
    before.removed !== after.removed
  );
}
