/** How long to wait before dialing again: full jitter, so that many who were cut at once do not come back at once.
 * See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */

/** The first wait is below this, in milliseconds: a controller that was restarted is back within a second. */
const baseMs = 250;
/** No wait is longer, in milliseconds: somebody sits in front of it. */
const capMs = 5_000;

export class Backoff {
  #attempts = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** @param retryAfterMs what the controller asked for, if it did; jitter comes on top */
  nextMs(retryAfterMs = 0): number {
    const ceiling = Math.min(capMs, baseMs * 2 ** this.#attempts++);
    return retryAfterMs + this.#random() * ceiling;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
