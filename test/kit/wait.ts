/** Waiting for conditions, never for time. */

export interface EventuallyOptions {
  /** How long at most, in milliseconds. Default 15,000. */
  readonly withinMs?: number;
  /** What is awaited, for the message of the failure. */
  readonly what?: string;
}

const pollMs = 20;

/**
 * Tries `attempt` until it returns something other than `undefined` or `false`, and returns that.
 * An attempt that throws counts as not yet; the last error is the failure's cause.
 */
export async function eventually<T>(
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
  options: EventuallyOptions = {},
): Promise<T> {
  const { withinMs = 15_000, what = "the condition" } = options;
  const deadline = performance.now() + withinMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline)
      throw new Error(`${what} did not come within ${String(withinMs)} ms`, { cause });
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
