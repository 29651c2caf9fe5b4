/**
 * When a session that nobody is connected to has been idle for its idle time.
 *
 *     off ──watch──▶ waiting ──time over, and nothing happened──▶ expired
 *                     ▲    │
 *                     └────┘ something did: waits again
 *
 * What the session does meanwhile only moves the moment, which is looked at when the wait is over.
 */
import type { Clock } from "@outpost/protocol";
import { Timer } from "./timer.ts";

export interface IdleTimeoutOptions {
  readonly clock: Clock;
  /** When it will expire, in milliseconds since 1970; `undefined` while it is busy. */
  readonly expiresAt: () => number | undefined;
  /** How long to wait at least before looking at a busy one again, in milliseconds. */
  readonly idleTimeoutMs: () => number;
  readonly expired: () => void;
}

export class IdleTimeout {
  readonly #options: IdleTimeoutOptions;
  readonly #timer: Timer;

  constructor(options: IdleTimeoutOptions) {
    this.#options = options;
    this.#timer = new Timer(options.clock);
  }

  /** Begins to wait, unless it does. */
  watch(): void {
    if (this.#timer.isSet) return;
    const { clock, expiresAt, idleTimeoutMs } = this.#options;
    const now = clock.now();
    const leftMs = (expiresAt() ?? now + idleTimeoutMs()) - now;
    this.#timer.set(Math.max(1, leftMs), () => this.#look());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const { clock, expiresAt, expired } = this.#options;
    const at = expiresAt();
    if (at === undefined || at > clock.now()) this.watch();
    else expired();
  }
}
