/**
 * A fan-out job of which some hosts were offline and are waited for (`offline: queue`, without a roll-out): each is sent its start
 * when it is back, until the job expires.
 */
import type { Clock, HostName } from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import type { Job } from "./job.ts";
import type { Starts } from "./starts.ts";

export interface QueuedStartsOptions {
  readonly bus: Bus;
  readonly starts: Starts;
  readonly clock: Clock;
  /** Nobody is waited for any more. */
  readonly ended: (queued: QueuedStarts) => void;
  /** Told of what went wrong while nobody was asking. */
  readonly fault: (error: unknown) => void;
}

/** The timer looks again at least this often, in milliseconds: the time may have been set meanwhile. */
const longestSleepMs = 60_000;

export class QueuedStarts implements Disposable {
  readonly fanOut: FanOut;
  readonly #options: QueuedStartsOptions;
  readonly #waiting: Set<Job>;
  readonly #due = new Set<Job>();
  #cancelTimer = (): void => {};
  #isOver = false;
  readonly #forget: () => void;

  constructor(options: QueuedStartsOptions, fanOut: FanOut) {
    this.#options = options;
    this.fanOut = fanOut;
    this.#waiting = new Set(fanOut.jobs.filter((job) => job.isQueued));
    // Begun, or stopped, or its host was removed.
    this.#forget = fanOut.onChanged((job) => {
      if (job.isQueued || !this.#waiting.delete(job) || this.#waiting.size > 0) return;
      this[Symbol.dispose]();
      this.#options.ended(this);
    });
    this.#sleep();
  }

  /** A host is back, and has told what it holds. */
  ready(host: HostName): void {
    const job = this.fanOut.job(host);
    if (job?.isQueued !== true) return;
    this.#due.add(job);
    // Many come back at once: what is due by then is recorded once.
    if (this.#due.size > 1) return;
    setImmediate(() => {
      try {
        this.#begin();
      } catch (error) {
        this.#options.fault(error);
      }
    });
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#cancelTimer();
    this.#forget();
    this.#due.clear();
  }

  #begin(): void {
    const { bus, starts } = this.#options;
    const jobs = [...this.#due].filter((job) => job.isQueued && bus.link(job.host) !== undefined);
    this.#due.clear();
    if (this.#isOver) return;
    if (jobs.length > 0) starts.begin([{ fanOut: this.fanOut, jobs }]);
  }

  #sleep(): void {
    const { clock } = this.#options;
    const leftMs = this.fanOut.expiresAt - clock.now();
    this.#cancelTimer = clock.after(Math.max(0, Math.min(longestSleepMs, leftMs)), () => {
      if (clock.now() >= this.fanOut.expiresAt) this.#expire();
      if (!this.#isOver) this.#sleep();
    });
  }

  #expire(): void {
    const at = new Date(this.fanOut.expiresAt).toISOString();
    for (const job of this.#waiting) {
      const message = `${job.hostName} was not back when the job expired (${at}); nothing ran there`;
      this.#options.starts.withhold(this.fanOut, job, "failed", "expired", message);
    }
  }
}
