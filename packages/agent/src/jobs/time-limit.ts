/** A running job's `timeoutMs`. */
import type { Clock } from "@outpost/protocol";

export class TimeLimit {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #over: () => void;
  #cancel: (() => void) | undefined;

  /**
   * The start is in the past of the host's time; from now on the time that passes counts, whatever the host's time does.
   * @param startedAt in milliseconds since 1970
   * @param over called once, perhaps at once
   */
  constructor(clock: Clock, startedAt: number, timeoutMs: number, over: () => void) {
    this.#clock = clock;
    this.#over = over;
    this.#deadlineMs = clock.monotonicMs() + startedAt + timeoutMs - clock.now();
    this.#wait();
  }

  cancel(): void {
    this.#cancel?.();
  }

  #wait(): void {
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    if (leftMs <= 0) this.#over();
    // Timers are at most 24.8 days long, so one that fires does not mean that the time is over.
    else this.#cancel = this.#clock.after(leftMs, () => this.#wait());
  }
}
