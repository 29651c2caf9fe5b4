/** Waits for what nobody tells us about. */
import { setTimeout } from "node:timers/promises";

export interface WaitOptions {
  /** How long at most, in milliseconds. */
  readonly timeoutMs: number;
  /** How long between two looks, in milliseconds. Default 200. */
  readonly everyMs?: number;
}

/**
 * Looks until there is something to see.
 * @returns what `look` returned, or `undefined` when it was nothing until the time was over
 * @throws what `look` throws: then there is nothing to wait for
 */
export async function waitFor<T>(
  look: () => Promise<T | undefined>,
  { timeoutMs, everyMs = 200 }: WaitOptions,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined || performance.now() >= deadline) return seen;
    await setTimeout(everyMs);
  }
}
