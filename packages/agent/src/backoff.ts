/**
 * How long to wait before dialing again: full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
 * so that a thousand agents whose controller restarted do not come back in step.
 */

/** The first window, in milliseconds: after a cut the first attempt comes within half a second. */
const baseMs = 500;

/** The largest window, in milliseconds. With full jitter, a controller that is back is found within 15 s on average. */
const capMs = 30_000;

/** The longest that a controller may send us away, in milliseconds. A nonsense value must not cost us the host. */
const maxRetryAfterMs = 10 * 60_000;

/** The wait after a refusal that time alone does not heal (denied, no common version), in milliseconds. */
const refusedMs = 60_000;

export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  /** @param random uniform in [0, 1); default `Math.random` */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The last connection was a good one: begin with the first window again. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * The wait before the next attempt, in milliseconds: a random part of a window that doubles with each call.
   * @param retryAfterMs what the controller asked for; the wait is never shorter, and spread over half as much again
   */
  next(retryAfterMs = 0): number {
    const askedMs = Math.min(Math.max(0, retryAfterMs), maxRetryAfterMs);
    const windowMs = Math.min(capMs, baseMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return askedMs + this.#random() * Math.max(windowMs, askedMs / 2);
  }

  /** The wait after a refusal: about a minute, spread by a tenth. */
  afterRefusal(retryAfterMs = 0): number {
    return Math.max(this.next(retryAfterMs), refusedMs * (0.9 + this.#random() * 0.2));
  }
}
