/** `session.wait`: until sessions wait for a command, or have ended, or time is up. */
import type { Clock, SessionsWaitParams } from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { HostSession } from "./session.ts";
import type { Sessions } from "./sessions.ts";

export interface SessionWaitOptions {
  readonly until: SessionsWaitParams["until"];
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly bus: Bus;
}

/**
 * Resolves with whether all of them came to what was waited for: false when the time ran out first, and when one has
 * ended that should have become available. A host that cannot be reached is waited for: what it said last may be old.
 * @throws the signal's reason
 */
export async function waitForSessions(
  sessions: Sessions,
  awaited: readonly HostSession[],
  options: SessionWaitOptions,
): Promise<boolean> {
  const { until, timeoutMs, signal, clock, bus } = options;
  const isSettled = (session: HostSession): boolean =>
    session.isEnded || (until === "available" && isAvailable(session, bus));
  const outcome = (): boolean => until === "ended" || awaited.every((session) => !session.isEnded);
  if (awaited.every(isSettled)) return outcome();
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const forget = sessions.onChanged((session) => {
    if (awaited.includes(session) && awaited.every(isSettled)) resolve(outcome());
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

/** As the host said on the connection that it has now. When it is back its inventory says so again. */
function isAvailable({ status, host, heardOn }: HostSession, bus: Bus): boolean {
  return status.availability === "available" && heardOn !== undefined && bus.link(host) === heardOn;
}
