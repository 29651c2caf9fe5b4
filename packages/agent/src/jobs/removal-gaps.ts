/** What a reader of a removed job is told: which bytes are gone, and why. Pure. */
import type { Gap, OutputExtents, Positions } from "@outpost/protocol";
import type { Tombstone } from "./tombstones.ts";

interface NamedGap {
  readonly name: keyof OutputExtents;
  readonly gap: Gap;
}

/** Bytes that an earlier receive acknowledged say so, whatever became of the rest. */
export function removalGaps({ status, cause }: Tombstone, from: Positions): NamedGap[] {
  const gaps: NamedGap[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    const start = from[name];
    if (start === undefined) continue;
    const { written, received } = status.output[name];
    const border = Math.max(start, received);
    if (start < received) gaps.push({ name, gap: { from: start, to: received, reason: "received" } });
    if (border < written) gaps.push({ name, gap: { from: border, to: written, reason: cause } });
  }
  return gaps;
}
