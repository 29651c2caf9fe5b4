/**
 * One run in a session's shell, as it is asked of the session host: once, and again whenever the connection to it is cut.
 *
 *     asking ──▶ answered           ended · never · failed: the session host's error
 *       ▲  └─cut─▶ waiting ─┐
 *       └───────────────────┘       as long as somebody may know what became of it (`mayHear`)
 */
import {
  type Clock,
  ErrorCode,
  OutpostError,
  type RunStarted,
  type SessionRunParams,
  type SessionRunResult,
} from "@outpost/protocol";
import { pause } from "../pause.ts";
import type { SessionShells } from "./session-shells.ts";
import type { StopSignal } from "./session-stop.ts";

/** How long to wait before asking again when the session host has gone, in milliseconds. */
const askAgainMs = 500;

export type RunOutcome =
  | SessionRunResult
  /** The session host refuses it, or does not know what became of it, or cannot be asked any more. */
  | { readonly outcome: "failed"; readonly error: OutpostError }
  /** It was let go of. */
  | { readonly outcome: "released" };

export interface SessionRunOptions {
  readonly shells: SessionShells;
  readonly params: SessionRunParams;
  readonly clock: Clock;
  readonly started: (process: RunStarted) => void;
  /** Whether another answer may be waited for after this error. */
  readonly mayHear: (error: OutpostError) => boolean;
}

export class SessionRun {
  readonly #options: SessionRunOptions;
  readonly #released = new AbortController();

  constructor(options: SessionRunOptions) {
    this.#options = options;
  }

  /** Asks, and resolves when nothing more is to be heard. Never rejects. */
  async outcome(): Promise<RunOutcome> {
    const { shells, params, clock, started, mayHear } = this.#options;
    const { signal } = this.#released;
    for (;;) {
      try {
        return await shells.run(params, started, signal);
      } catch (reason) {
        if (signal.aborted) return { outcome: "released" };
        const error = OutpostError.from(reason);
        if (!mayHear(error)) return { outcome: "failed", error };
      }
      await pause(clock, askAgainMs, signal);
    }
  }

  /** When the session host has gone it does not arrive: whoever stops repeats it. */
  stop(signal: StopSignal): void {
    const { shells, params } = this.#options;
    shells.stopRun({ session: params.session, job: params.job, signal }).catch(() => {});
  }

  /** The run goes on. */
  release(): void {
    this.#released.abort();
  }
}

/** The connection to the session host ended: nothing is known of the run. */
export function wasCut({ code }: OutpostError): boolean {
  return code === ErrorCode.disconnected || code === ErrorCode.timeout;
}
