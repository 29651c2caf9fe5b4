/** `fanout.wait`: until jobs have ended, or time is up. */
import type { Clock } from "@outpost/protocol";
import type { FanOut } from "./fan-out.ts";

export interface WaitOptions {
  /** True: until one has ended; false: until all have. */
  readonly any: boolean;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Resolves with whether it came to an end; false when the time ran out first. @throws the signal's reason */
export async function waitForEnd(fanOut: FanOut, options: WaitOptions): Promise<boolean> {
  const { any, timeoutMs, signal, clock } = options;
  const isOver = (): boolean => (any ? fanOut.jobs.some((job) => job.isEnded) : fanOut.isEnded);
  if (isOver()) return true;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const forget = fanOut.onChanged((job) => {
    if (job.isEnded && isOver()) resolve(true);
  });
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort);
  const cancel = timeoutMs === undefined ? () => {} : clock.after(timeoutMs, () => resolve(false));
  try {
    return await promise;
  } finally {
    forget();
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}
