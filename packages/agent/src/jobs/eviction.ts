/** Which ended jobs have to make room. Pure. */

export interface Evictable {
  readonly settledAt: number;
  readonly diskBytes: number;
}

/** The oldest of `ended` that together free at least `excessBytes`, and as many as `excessCount`; oldest first. */
export function planEviction<J extends Evictable>(
  ended: readonly J[],
  excess: { readonly bytes: number; readonly count: number },
): J[] {
  const oldestFirst = ended.toSorted((a, b) => a.settledAt - b.settledAt);
  const plan: J[] = [];
  let freed = 0;
  for (const job of oldestFirst) {
    if (freed >= excess.bytes && plan.length >= excess.count) break;
    plan.push(job);
    freed += job.diskBytes;
  }
  return plan;
}
