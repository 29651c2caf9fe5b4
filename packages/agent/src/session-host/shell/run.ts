/**
 * One command of `invoke --session`.
 *
 *     waiting ──its line is typed──▶ typed ──R──▶ running ──E, or D without it──▶ ended
 *        │                             │                        or the shell ended
 *        └─────────▶ never ◀───────────┘
 *        stopped, or the session ended    the shell came back without having read its file
 */
import type { Exit, JobId, RunStarted, SessionRunResult } from "@outpost/protocol";
import { hasEnded, writeExit } from "./exit-file.ts";

export type RunOutcome = SessionRunResult;

export class Run {
  readonly job: JobId;
  /** The job's directory. */
  readonly directory: string;
  readonly operator: string | undefined;
  /** Kept when it has ended; never rejects. */
  readonly result: Promise<RunOutcome>;
  #state: "waiting" | "typed" | "running" | "ended" | "never" = "waiting";
  #started: RunStarted | undefined;
  readonly #listeners = new Set<(started: RunStarted) => void>();
  readonly #resolve: (outcome: RunOutcome) => void;

  constructor(job: JobId, directory: string, operator: string | undefined) {
    this.job = job;
    this.directory = directory;
    this.operator = operator;
    const { promise, resolve } = Promise.withResolvers<RunOutcome>();
    this.result = promise;
    this.#resolve = resolve;
  }

  get state(): "waiting" | "typed" | "running" | "ended" | "never" {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state === "ended" || this.#state === "never";
  }

  /** Tells the listener as soon as the command was given to the shell: at once when it was. Returns what ends that. */
  onStarted(listener: (started: RunStarted) => void): () => void {
    if (this.#started !== undefined) listener(this.#started);
    else this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  typed(shell: RunStarted): void {
    this.#state = "typed";
    this.#started = { pid: shell.pid, startTime: shell.startTime };
    for (const listener of this.#listeners) listener(this.#started);
    this.#listeners.clear();
  }

  /** The shell reads the run's file. */
  begun(): void {
    if (this.#state === "typed") this.#state = "running";
  }

  /** The command is over. Writes the record unless the shell has. @param exit `undefined`: the shell did not say */
  end(exit: Exit | undefined): void {
    if (this.isOver) return;
    try {
      const recorded = hasEnded(this.directory);
      if (!recorded && exit !== undefined) writeExit(this.directory, exit);
      const unknown = recorded || exit !== undefined ? {} : { message: "the shell did not say how it ended" };
      this.#finish("ended", { outcome: "ended", ...unknown });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#finish("ended", { outcome: "ended", message: `how it ended could not be written: ${why}` });
    }
  }

  /** @param why a sentence for people */
  neverRan(why: string): void {
    if (!this.isOver) this.#finish("never", { outcome: "never", message: why });
  }

  #finish(state: "ended" | "never", outcome: RunOutcome): void {
    this.#state = state;
    this.#listeners.clear();
    this.#resolve(outcome);
  }
}
