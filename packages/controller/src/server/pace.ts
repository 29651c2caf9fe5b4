/** So many of something within a time, for each of many: what a host can bring about as often as it likes. */
import type { Clock } from "@outpost/protocol";

export interface PaceOptions {
  readonly most: number;
  /** In milliseconds. */
  readonly withinMs: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}

interface Window {
  readonly since: number;
  taken: number;
}

export class Pace {
  readonly #options: PaceOptions;
  /** By the one who takes; forgotten with it. */
  readonly #windows = new WeakMap<object, Window>();

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Takes one. Returns whether that is still within the pace. */
  take(who: object): boolean {
    const { most, withinMs, clock } = this.#options;
    const now = clock.monotonicMs();
    let window = this.#windows.get(who);
    if (window === undefined || now - window.since >= withinMs) {
      window = { since: now, taken: 0 };
      this.#windows.set(who, window);
    }
    window.taken++;
    return window.taken <= most;
  }
}
