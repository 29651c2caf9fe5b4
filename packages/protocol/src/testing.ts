/** A clock that tests own. */
import type { Clock } from "./clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** One turn of the event loop, so that what a timer has set going (promises, in-memory sockets) can happen. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Time that passes only when told. Timers fire in the order of their due times, in `advance` and `sleep` only.
 * Sockets of `memoryLink` with a latency may run on it too.
 */
export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();

  /** @param nowMs what `now()` says at first, in milliseconds since 1970. Default: 2026-01-01T00:00:00Z. */
  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = nowMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. At the end of a test that closed everything, a leak when it is not 0. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass in a process that runs: each timer fires at its moment, and what it set going has a
   * turn of the event loop before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonicMs + ms;
    await turn();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pass(next.dueMs - this.#monotonicMs);
      this.#fire(next);
      await turn();
    }
    this.#pass(end - this.#monotonicMs);
    await turn();
  }

  /** Lets `ms` milliseconds pass while the process does not run (SIGSTOP, a lid closed): what became due fires late, once. */
  async sleep(ms: number): Promise<void> {
    this.#pass(ms);
    await this.advance(0);
  }

  /** Sets the host's time forward or back: `now()` steps, durations and timers do not. */
  step(ms: number): void {
    this.#wallMs += ms;
  }

  #pass(ms: number): void {
    const passedMs = Math.max(0, ms);
    this.#wallMs += passedMs;
    this.#monotonicMs += passedMs;
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    timer.callback();
  }
}
