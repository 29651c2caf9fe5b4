/**
 * The state of one session and its times: whether somebody is connected, since when nobody is, when it last did
 * anything, and when it expires. Asks who is connected and whether it is busy; closes nothing itself.
 */
import type { Clock, SessionState } from "@outpost/protocol";
import { IdleTimeout } from "./idle-timeout.ts";
import { StateMachine } from "./session-state.ts";

export interface PresenceOptions {
  readonly clock: Clock;
  /** Default `opening`. */
  readonly state: SessionState | undefined;
  readonly activeAt: number;
  readonly idleTimeoutMs: number;
  /** Whether a viewer is attached, or a run of `invoke --session` runs or waits. */
  readonly isConnected: () => boolean;
  /** Whether the shell runs a command. */
  readonly isBusy: () => boolean;
  /** Nobody was connected and nothing happened for the idle time. */
  readonly expired: () => void;
}

export class Presence {
  readonly #options: PresenceOptions;
  readonly #machine: StateMachine;
  readonly #idle: IdleTimeout;
  #activeAt: number;
  #idleTimeoutMs: number;
  #disconnectedAt: number | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#machine = new StateMachine(options.state);
    this.#activeAt = options.activeAt;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#idle = new IdleTimeout({
      clock: options.clock,
      expiresAt: () => this.expiresAt,
      idleTimeoutMs: () => this.#idleTimeoutMs,
      expired: options.expired,
    });
  }

  get state(): SessionState {
    return this.#machine.state;
  }

  get live(): boolean {
    return this.#machine.live;
  }

  get activeAt(): number {
    return this.#activeAt;
  }

  /** Since when nobody is connected. */
  get disconnectedAt(): number | undefined {
    return this.#disconnectedAt;
  }

  /** When it will expire if nothing happens. */
  get expiresAt(): number | undefined {
    if (this.#disconnectedAt === undefined || this.#options.isBusy()) return undefined;
    return Math.max(this.#disconnectedAt, this.#activeAt) + this.#idleTimeoutMs;
  }

  get idleTimeoutMs(): number {
    return this.#idleTimeoutMs;
  }

  set idleTimeoutMs(ms: number) {
    this.#idleTimeoutMs = ms;
    // A shorter one ends earlier than is waited for.
    this.#idle.stop();
    this.refresh();
  }

  /** It did something. */
  active(): void {
    this.#activeAt = this.#options.clock.now();
  }

  /** It has shown its first prompt, or has taken too long. */
  opened(): void {
    this.#machine.become("opened");
    this.refresh();
  }

  /** Somebody may have come or gone. */
  refresh(): void {
    const { isConnected, clock } = this.#options;
    if (this.state === "opened" && !isConnected()) {
      this.#machine.become("disconnected");
      this.#disconnectedAt = clock.now();
    } else if (this.state === "disconnected" && isConnected()) {
      this.#machine.become("opened");
      this.#disconnectedAt = undefined;
    }
    if (this.state === "disconnected") this.#idle.watch();
    else this.#idle.stop();
  }

  end(state: "closed" | "broken"): void {
    this.#machine.become(state);
    this.#disconnectedAt = undefined;
    this.#idle.stop();
  }

  dispose(): void {
    this.#idle.stop();
  }
}
