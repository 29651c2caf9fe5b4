/**
 * Ends what a job runs in a session's shell, and never the shell: first as a person would, by Ctrl-C.
 *
 *     interrupting ──a quarter of the grace, at most 2 s──▶ terminating ──grace over──▶ killing ──5 s──▶ gave up
 *        SIGINT                                               SIGTERM              SIGINT, SIGKILL, again and again
 *
 * SIGKILL ends what is in the foreground, and the shell goes on with the command's next line: only an interrupt makes
 * it give up the rest. So both are repeated, until whoever owns this says that the run has ended (`dispose`).
 */
import type { Clock } from "@outpost/protocol";

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGKILL";

/** The longest time for an interrupt to do, in milliseconds, before SIGTERM. */
const longestInterruptMs = 2_000;
/** How often SIGKILL is repeated, in milliseconds. */
const killEveryMs = 200;
/** How long what runs may take to die of SIGKILL, in milliseconds: it may wait for a disk. */
const killWaitMs = 5_000;

export interface SessionStopOptions {
  readonly clock: Clock;
  /** Between the first signal and SIGKILL, in milliseconds. */
  readonly graceMs: number;
  readonly send: (signal: StopSignal) => void;
  readonly gaveUp: () => void;
}

export class SessionStop {
  readonly #options: SessionStopOptions;
  #deadlineMs: number;
  #phase: "interrupting" | "terminating" | "killing" | "over" = "interrupting";
  #cancel: (() => void) | undefined;

  constructor(options: SessionStopOptions) {
    const { clock, graceMs } = options;
    this.#options = options;
    this.#deadlineMs = clock.monotonicMs() + graceMs;
  }

  begin(): void {
    const { graceMs, send } = this.#options;
    if (graceMs === 0) return this.#kill();
    send("SIGINT");
    this.#after(Math.min(graceMs / 4, longestInterruptMs), () => this.#terminate());
  }

  /** What processes that are found only now are to get. */
  get signal(): "SIGTERM" | "SIGKILL" {
    return this.#phase === "killing" ? "SIGKILL" : "SIGTERM";
  }

  /** Shortens the grace, counted from now; it never gets longer. */
  hasten(graceMs: number): void {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + graceMs;
    if (deadlineMs >= this.#deadlineMs || this.#phase === "killing" || this.#phase === "over") return;
    this.#deadlineMs = deadlineMs;
    if (this.#phase === "interrupting" && graceMs > 0)
      this.#after(Math.min(graceMs / 4, longestInterruptMs), () => this.#terminate());
    else this.#after(graceMs, () => this.#kill());
  }

  dispose(): void {
    this.#phase = "over";
    this.#cancel?.();
  }

  #terminate(): void {
    this.#phase = "terminating";
    this.#options.send("SIGTERM");
    this.#after(this.#deadlineMs - this.#options.clock.monotonicMs(), () => this.#kill());
  }

  #kill(): void {
    const { clock, send, gaveUp } = this.#options;
    if (this.#phase !== "killing") this.#phase = "killing";
    else if (clock.monotonicMs() >= this.#deadlineMs + killWaitMs) {
      this.dispose();
      return gaveUp();
    }
    send("SIGINT");
    send("SIGKILL");
    this.#after(killEveryMs, () => this.#kill());
  }

  #after(delayMs: number, action: () => void): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, action);
  }
}
