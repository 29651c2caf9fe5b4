/**
 * Ends all processes of a job: SIGTERM to each, then SIGKILL to what is left after the grace.
 *
 *     terminating ──grace over──▶ killing ──5 s──▶ gave up
 *          └────────none left──────▶ done ◀──┘
 *
 * Processes that appear meanwhile get the signal too. It is done only when a look at all processes of the host found
 * none, so nothing of a stopped job runs on.
 */
import type { Clock } from "@outpost/protocol";
import type { Platform, ProcessInfo } from "../platform/index.ts";
import { findMembers, signalProcess, type Tree } from "./process-tree.ts";
import { isWrapper } from "./wrapper.ts";

/** Looks at known processes cost microseconds each; a look at all of the host's, milliseconds. */
const firstLookMs = 5;
const longestLookMs = 200;
/** How long processes may take to die of SIGKILL: they may wait for a disk. */
const killWaitMs = 5_000;

export interface TerminationOptions {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly tree: () => Tree;
  readonly graceMs: number;
  /** Whether the wrapper is still there: then processes may appear although there are none now. */
  readonly wrapperLives: () => boolean;
  /** Called once: none are left, or they do not die. */
  readonly done: (survivors: number) => void;
}

export class Termination {
  readonly #options: TerminationOptions;
  #deadlineMs: number;
  /** pid → start time of all that were ever seen. */
  readonly #known = new Map<number, string>();
  readonly #signalled = new Map<number, NodeJS.Signals>();
  #cancel: (() => void) | undefined;
  #sweepAgain = false;
  #waitMs = firstLookMs;

  constructor(options: TerminationOptions) {
    this.#options = options;
    this.#deadlineMs = options.clock.monotonicMs() + options.graceMs;
    this.#sweep();
  }

  dispose(): void {
    this.#cancel?.();
  }

  /** Shortens the grace, counted from now; it never gets longer. */
  hasten(graceMs: number): void {
    const deadlineMs = this.#options.clock.monotonicMs() + graceMs;
    if (deadlineMs >= this.#deadlineMs || this.#killing) return;
    this.#deadlineMs = deadlineMs;
    this.#cancel?.();
    this.#later();
  }

  get #killing(): boolean {
    return this.#options.clock.monotonicMs() >= this.#deadlineMs;
  }

  /** A look at all processes. */
  #sweep(): void {
    const { platform, tree, wrapperLives, done, clock } = this.#options;
    const livesBefore = wrapperLives();
    const members = findMembers(platform, tree(), this.#known);
    if (members.length === 0 && !livesBefore) return done(0);
    if (clock.monotonicMs() >= this.#deadlineMs + killWaitMs) return done(members.length);
    this.#sweepAgain = false;
    for (const member of members) this.#signal(member);
    this.#waitMs = Math.min(this.#waitMs * 2, longestLookMs);
    this.#later();
  }

  #signal({ pid, startTime, parent }: ProcessInfo): void {
    const { platform, tree } = this.#options;
    const signal = this.#killing ? "SIGKILL" : "SIGTERM";
    this.#known.set(pid, startTime);
    // Once each: a second SIGTERM means "now" to some programs.
    if (this.#signalled.get(pid) === signal) return;
    // A copy of the wrapper that is about to become the main process still has the wrapper's traps, which swallow the
    // signal: it gets another one.
    const isCopy = parent === tree().wrapper && isWrapper(platform.commandLine(pid));
    if (isCopy) this.#sweepAgain = true;
    else this.#signalled.set(pid, signal);
    signalProcess(pid, signal);
    // A stopped process (SIGSTOP) has to go on to die of SIGTERM.
    if (signal === "SIGTERM") signalProcess(pid, "SIGCONT");
  }

  #later(): void {
    const { clock } = this.#options;
    const untilKillMs = this.#deadlineMs - clock.monotonicMs();
    const waitMs = untilKillMs > 0 ? Math.min(this.#waitMs, untilKillMs) : this.#waitMs;
    const wasKilling = this.#killing;
    this.#cancel = clock.after(waitMs, () => {
      // Whoever gets SIGKILL is gone soon.
      if (this.#killing && !wasKilling) this.#waitMs = firstLookMs;
      if (this.#killing || this.#sweepAgain || !this.#anyKnownLives()) this.#sweep();
      else {
        this.#waitMs = Math.min(this.#waitMs * 2, longestLookMs);
        this.#later();
      }
    });
  }

  #anyKnownLives(): boolean {
    for (const [pid, startTime] of this.#known) {
      if (this.#options.platform.startTime(pid) === startTime) return true;
    }
    return false;
  }
}
