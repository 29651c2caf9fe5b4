/**
 * Tells whether the other side is still there. A peer is dead only when it is silent *and* we were awake to hear it:
 * time in which this process did not run (a suspended laptop, SIGSTOP, a blocked event loop) does not count.
 */
import type { Clock } from "./clock.ts";
import { heartbeatIntervalMs, heartbeatTimeoutMs } from "./limits.ts";

const tickMs = 2_500;

export interface HeartbeatEvents {
  /** Nothing was heard for a while: ask the other side for a sign of life. */
  probe(): void;
  /** Nothing was heard for too long. Called once; the heartbeat has stopped. */
  dead(): void;
}

export class Heartbeat {
  readonly #clock: Clock;
  readonly #events: HeartbeatEvents;
  #silentMs = 0;
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

  stop(): void {
    this.#cancel();
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    // A tick that comes late was slept through; what the other side sent meanwhile may still be unread.
    this.#silentMs += Math.min(now - this.#lastTickMs, tickMs);
    this.#lastTickMs = now;
    if (this.#silentMs >= heartbeatTimeoutMs) {
      this.#events.dead();
      return;
    }
    if (this.#silentMs >= heartbeatIntervalMs) this.#events.probe();
    this.#cancel = this.#clock.after(tickMs, () => this.#tick());
  }
}
