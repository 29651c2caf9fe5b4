/**
 * The arithmetic of roll-outs, for whoever carries one out and whoever shows beforehand what it will do: in which order the hosts
 * come, how many make a stage, how many may run at a time, how many may fail. Pure.
 */
import type { Rollout, RolloutOrder, Share } from "./messages/rollout.ts";
import { compareNames } from "./targets/name-order.ts";

/** How many of `total` hosts a share is; a percentage is rounded up. May be more than there are. */
export function shareOf(share: Share, total: number): number {
  if ("hosts" in share) return share.hosts;
  // 7 % of 100 is 7.000000000000001 by some ways of counting, and MUST NOT become 8.
  return Math.max(0, Math.ceil((total * share.percent) / 100 - 1e-9));
}

/** The sizes of the stages, in their order; their sum is `total`, and none is empty. */
export function stagesOf(total: number, { canary, batch }: Pick<Rollout, "canary" | "batch">): number[] {
  const stages: number[] = [];
  const take = (share: Share | undefined, left: number): number =>
    share === undefined ? left : Math.min(left, Math.max(1, shareOf(share, total)));
  let left = total;
  if (canary !== undefined && left > 0) {
    stages.push(take(canary, left));
    left -= stages[0]!;
  }
  while (left > 0) {
    const size = take(batch, left);
    stages.push(size);
    left -= size;
  }
  return stages;
}

/** How many hosts may run at a time, at least one. */
export function concurrencyOf(total: number, { concurrency }: Pick<Rollout, "concurrency">): number {
  return Math.max(1, concurrency === undefined ? total : Math.min(total, shareOf(concurrency, total)));
}

/** How many hosts may fail; `undefined`: as many as there are. */
export function failureLimitOf(
  total: number,
  { maxFailures, canary }: Pick<Rollout, "maxFailures" | "canary">,
  hasCheck: boolean,
): number | undefined {
  if (maxFailures !== undefined) return shareOf(maxFailures, total);
  return canary !== undefined || hasCheck ? 0 : undefined;
}

/**
 * The names in the order in which they come to their turn.
 *
 * Random: Fisher and Yates's shuffle, from the last place down, of the names in the order of their UTF-16 units; the other place
 * is `floor(u / 2^32 × places)`, where `u` is what mulberry32 gives next, begun with the seed's upper 21 bits xor its lower 32.
 */
export function orderOf<N extends string>(names: Iterable<N>, order: RolloutOrder = { kind: "name" }): N[] {
  if (order.kind === "name") return [...names].sort(compareNames);
  const next = mulberry32(Math.floor(order.seed / 2 ** 32) ^ (order.seed | 0));
  const shuffled = [...names].sort();
  for (let place = shuffled.length - 1; place > 0; place--) {
    const other = Math.floor((next() / 2 ** 32) * (place + 1));
    [shuffled[place], shuffled[other]] = [shuffled[other]!, shuffled[place]!];
  }
  return shuffled;
}

/** Tommy Ettinger's generator: 32 bits of state, 32 bits at a time. For orders that can be had again, and nothing secret. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
