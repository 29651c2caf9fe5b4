/**
 * The windows of many incoming streams out of one budget: one stream alone is fast, and a thousand together hold no more memory
 * than was meant for all. What they hold in sum is at most `totalBytes`, and `minBytes` for each that finds nothing left.
 */

export interface WindowBudgetOptions {
  /** What all windows together may hold, in bytes. */
  readonly totalBytes: number;
  /** What each may hold whatever the others do, in bytes: without any it would stand still. */
  readonly minBytes: number;
  /** The most that one may hold, in bytes: more makes no stream faster. */
  readonly maxBytes: number;
}

export class WindowBudget {
  readonly #options: WindowBudgetOptions;
  #open = 0;
  #held = 0;

  constructor(options: WindowBudgetOptions) {
    this.#options = options;
  }

  /** What senders may have on their way to us now, and what has come and is not consumed, in bytes. */
  get heldBytes(): number {
    return this.#held;
  }

  /** For one more stream. Disposed, its share is the others'. */
  open(): StreamWindow {
    this.#open++;
    let held = 0;
    let isOpen = true;
    const hold = (bytes: number): void => {
      this.#held += bytes - held;
      held = bytes;
    };
    hold(this.#share(0));
    return {
      get bytes() {
        return held;
      },
      consumed: (bytes) => {
        if (!isOpen) return 0;
        hold(Math.max(0, held - bytes));
        hold(Math.max(held, this.#share(held)));
        return held;
      },
      [Symbol.dispose]: () => {
        if (!isOpen) return;
        isOpen = false;
        hold(0);
        this.#open--;
      },
    };
  }

  /** @param held what the stream has of it already */
  #share(held: number): number {
    const { totalBytes, minBytes, maxBytes } = this.#options;
    const free = totalBytes - this.#held + held;
    return Math.max(minBytes, Math.min(maxBytes, Math.floor(totalBytes / this.#open), free));
  }
}

export interface StreamWindow extends Disposable {
  /** How many bytes the sender may have on its way, from the first that is not consumed. */
  readonly bytes: number;
  /** So many bytes that came are held no longer. @returns how many the sender may have on its way, from the next on */
  consumed(bytes: number): number;
}
