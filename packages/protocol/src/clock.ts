/** Time as modules see it, so that tests own it. Production code passes `systemClock`. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. Steps when the host's time is set; for records and display. */
  now(): number;
  /** Milliseconds on a clock that never steps; for durations and deadlines. */
  monotonicMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Never keeps the process alive on its own. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Longer delays would overflow Node's 32-bit timers and fire at once. */
const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), maxTimerMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
