/** How long to wait before dialing again: full jitter, so that many who were cut at once do not come back at once.
 * See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */

import { type Clock, OutpostError } from "@outpost/protocol";

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

  /** Waits that long. @throws the signal's reason */
  sleep(clock: Clock, signal: AbortSignal, retryAfterMs = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancel();
        reject(OutpostError.from(signal.reason));
      };
      const cancel = clock.after(this.nextMs(retryAfterMs), () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  reset(): void {
    this.#attempts = 0;
  }
}
