/**
 * How many newcomers may be busy with arriving. After a restart ten thousand agents dial at once; each costs a TLS
 * handshake, a hello and an inventory. Those beyond the limit are told when to come back.
 */
import type { ControllerSettings } from "./settings.ts";

export class Admission {
  readonly #settings: ControllerSettings;
  #handshakes = 0;
  #greetings = 0;
  #newcomers = 0;

  constructor(settings: ControllerSettings) {
    this.#settings = settings;
  }

  /** A TCP connection has come. False: close it, before the handshake costs anything. */
  handshakeBegun(): boolean {
    if (this.#handshakes >= this.#settings.maxHandshakes) return false;
    this.#handshakes++;
    return true;
  }

  /** Its TLS handshake has ended, either way. */
  handshakeEnded(): void {
    this.#handshakes = Math.max(0, this.#handshakes - 1);
  }

  /** A place among those who are being greeted; the returned function gives it back (once). `undefined`: none is free. */
  greet(): (() => void) | undefined {
    if (this.#greetings >= this.#settings.maxGreetings) return undefined;
    this.#greetings++;
    return once(() => this.#greetings--);
  }

  /** The same among those who enrol. Their places are their own: they have shown no certificate yet, and MUST NOT be
   * able to keep out those who have. */
  enrol(): (() => void) | undefined {
    if (this.#newcomers >= this.#settings.maxEnrolments) return undefined;
    this.#newcomers++;
    return once(() => this.#newcomers--);
  }

  /** When to come back, in milliseconds; spread, so that the refused do not come back together. */
  retryAfterMs(): number {
    return Math.round(this.#settings.retryAfterMs * (0.5 + Math.random()));
  }
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
