/** How far a job is, counted from its events. */
import type { RolloutInfo } from "@outpost/protocol";
import { outcomeOf, type Outcome } from "../../../client/exit-code.ts";
import type { JobEvent } from "../../../client/index.ts";

/** Over how long the rate is measured, in milliseconds: long enough to be steady, short enough to be of now. */
const windowMs = 5_000;
const slots = 20;
const slotMs = windowMs / slots;

export class Progress {
  readonly #outcomes = new Map<Outcome, number>();
  readonly #running = new Set<string>();
  readonly #away = new Set<string>();
  /** How many ended in each slot of time, by the slot's number. */
  readonly #ends = new Map<number, number>();
  readonly #now: () => number;
  readonly #startedAt: number;
  hosts = 0;
  done = 0;
  rollout: RolloutInfo | undefined;

  /** @param now milliseconds of a clock that never jumps */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = now();
  }

  note(event: JobEvent): void {
    switch (event.type) {
      case "plan":
        this.hosts = event.hosts.length;
        return;
      case "start":
        this.#running.add(event.host);
        return;
      case "notice":
        if (event.host === undefined) return;
        if (event.code === "host_unreachable") this.#away.add(event.host);
        else this.#away.delete(event.host);
        return;
      case "exit": {
        this.#running.delete(event.host);
        this.#away.delete(event.host);
        const outcome = outcomeOf(event);
        this.#outcomes.set(outcome, this.count(outcome) + 1);
        this.done++;
        this.#noteEnd();
        return;
      }
      case "rollout":
        this.rollout = event.rollout;
        return;
      // The roll-out's own count of failures has it.
      case "check":
      case "out":
      case "gap":
      case "summary":
        return;
      default:
        event satisfies never;
    }
  }

  count(outcome: Outcome): number {
    return this.#outcomes.get(outcome) ?? 0;
  }

  /** How many have begun and not ended, and can be reached. */
  get running(): number {
    return this.#running.size - [...this.#away].filter((host) => this.#running.has(host)).length;
  }

  /** How many have not begun. Counted here: of a roll-out is told when it changes, and not when each host begins. */
  get toCome(): number {
    return this.hosts - this.done - this.#running.size;
  }

  /** Of those that have not ended, how many cannot be reached; and those that could not be from the beginning. */
  get unreachable(): number {
    return this.count("unreachable") + this.#away.size;
  }

  get failed(): number {
    return this.count("failed") + this.count("timedOut") + this.count("stopped") + this.count("lost");
  }

  /** How many end in a second, of late; 0 when none did. */
  get perSecond(): number {
    const now = this.#now();
    let ended = 0;
    for (const [slot, count] of this.#ends) {
      if ((slot + 1) * slotMs < now - windowMs) this.#ends.delete(slot);
      else ended += count;
    }
    const overMs = Math.min(windowMs, Math.max(slotMs, now - this.#startedAt));
    return (ended * 1_000) / overMs;
  }

  /** How long the others will take at this rate, in milliseconds; undefined when there is no saying. */
  get leftMs(): number | undefined {
    const { perSecond } = this;
    return perSecond === 0 ? undefined : ((this.hosts - this.done) * 1_000) / perSecond;
  }

  #noteEnd(): void {
    const slot = Math.floor(this.#now() / slotMs);
    this.#ends.set(slot, (this.#ends.get(slot) ?? 0) + 1);
  }
}
