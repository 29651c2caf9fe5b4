/**
 * Tells whether the other side is still there and still reads. A peer is dead only when it is silent *and* we were
 * awake to hear it: time in which this process did not run (a suspended laptop, SIGSTOP, a blocked event loop) does
 * not count, neither for its silence nor for our unsent bytes.
 */
import type { Clock } from "./clock.ts";
import { heartbeatIntervalMs, heartbeatTimeoutMs, writeDeadlineMs } from "./limits.ts";

const tickMs = 2_500;

export interface HeartbeatEvents {
  /** Nothing was heard for a while: ask the other side for a sign of life. */
  probe(): void;
  /** Nothing was heard for too long. Called once; the heartbeat has stopped. */
  dead(): void;
  /** Whether bytes wait to be sent. */
  hasUnsent(): boolean;
  /** Bytes waited for too long while none could be sent. Called once; the heartbeat has stopped. */
  stuck(): void;
}

export class Heartbeat {
  readonly #clock: Clock;
  readonly #events: HeartbeatEvents;
  #silentMs = 0;
  #stuckMs = 0;
  #stopped = false;
  #lastTickMs: number;
  #cancel: () => void;

  constructor(clock: Clock, events: HeartbeatEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#lastTickMs = clock.monotonicMs();
    this.#cancel = clock.after(tickMs, () => this.#tick());
  }

  /** Something came from the other side. */
  heard(): void {
    this.#silentMs = 0;
  }

  /** Something of what waited was sent. */
  sent(): void {
    this.#stuckMs = 0;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    // A tick that comes late was slept through; what the other side sent meanwhile may still be unread.
    const awakeMs = Math.min(now - this.#lastTickMs, tickMs);
    this.#lastTickMs = now;
    this.#silentMs += awakeMs;
    this.#stuckMs = this.#events.hasUnsent() ? this.#stuckMs + awakeMs : 0;
    if (this.#silentMs >= heartbeatTimeoutMs) this.#end(() => this.#events.dead());
    else if (this.#stuckMs >= writeDeadlineMs) this.#end(() => this.#events.stuck());
    else if (this.#silentMs >= heartbeatIntervalMs) this.#events.probe();
    if (!this.#stopped) this.#cancel = this.#clock.after(tickMs, () => this.#tick());
  }

  #end(verdict: () => void): void {
    this.#stopped = true;
    verdict();
  }
}
