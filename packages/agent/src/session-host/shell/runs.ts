/**
 * The runs of one session's shell: one after the other, each typed as one line when the shell waits for one.
 *
 * A run is answered when its record is written (mark E); the next one is typed when the prompt is back. What somebody
 * left half-typed is given up by Ctrl-C first. That is what a person would press: it works in every shell, editing mode
 * and continuation line, which Ctrl-U does not.
 */
import { chownSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Clock,
  ErrorCode,
  type Exit,
  type JobId,
  OutpostError,
  type RunStarted,
  type ShellIntegration,
  systemClock,
} from "@outpost/protocol";
import { readJobHead, writeJobFile } from "../../jobs/job-file.ts";
import type { Account } from "../../platform/index.ts";
import { hasEnded } from "./exit-file.ts";
import { interrupt, type StopSignal } from "./interrupt.ts";
import { interruptUntilHeeded } from "./interrupting.ts";
import type { Mark } from "./marks.ts";
import type { PromptState } from "./prompt-state.ts";
import { Run, type RunOutcome } from "./run.ts";
import { noticeOf, runFileName, runLine, runText } from "./run-text.ts";

/** What the runs need of the terminal that their shell is on. */
export interface ShellTerminal {
  /** Writes to the terminal as if it were typed. Does not tell `prompt`: the runs do. */
  write(text: string): void;
  readonly prompt: PromptState;
  readonly integration: ShellIntegration;
  /** The shell. */
  readonly process: { readonly pid: number; readonly startTime: string };
  /** Whose it is, when that is not our own user: then it can read only what is his. */
  readonly owner?: Account | undefined;
  /** The terminal's foreground process group; `undefined` when there is none. */
  foregroundGroup(): number | undefined;
  /** Whether a viewer with role `control` is attached. */
  controllerAttached(): boolean;
}

export interface RunParams {
  readonly job: JobId;
  /** The job's. Absolute. Holds `command`, `stdout`, `stderr`, `exit`, and `stdin` if there is any. */
  readonly directory: string;
  readonly busy: "wait" | "fail";
  /** Shown on the terminal in front of the command. */
  readonly operator?: string;
}

/** How often what keeps the next run waiting is looked at where nothing tells (a viewer leaves), in milliseconds. */
const retryMs = 250;
/** How long the shell may take to give up a line, and how long a line may take to reach it once it has shown a prompt
 * without having read it, in milliseconds. */
const patienceMs = 1_000;
/** How long the shell may take to begin with a line that was typed at its prompt, in milliseconds. A loaded host is slow. */
const lineMs = 30_000;
/** How many outcomes of runs that never ran are remembered, so that asking again does not run them. */
const maxRemembered = 1_000;

/** More than anybody is shown of a command, in bytes; its file may be another user's, and of any size. */
const maxCommandBytes = 64 * 1024;
/** What shells say of a command that SIGINT has ended. */
const interrupted = 130;
const controlC = "\u0003";
const controlU = "\u0015";

export class Runs {
  readonly #terminal: ShellTerminal;
  readonly #clock: Clock;
  readonly #waiting: Run[] = [];
  readonly #refused = new Map<JobId, RunOutcome>();
  readonly #listeners = new Set<() => void>();
  /** Typed, and its prompt is not back yet. */
  #current: Run | undefined;
  /** When Ctrl-C was typed to give up a line, in monotonic milliseconds. */
  #gaveUpAt: number | undefined;
  /** Set once the shell has ended. */
  #over: string | undefined;
  #stopListening: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #cancelPatience: (() => void) | undefined;

  constructor(terminal: ShellTerminal, clock: Clock = systemClock) {
    this.#terminal = terminal;
    this.#clock = clock;
  }

  /** Runs that wait or run, in their order. */
  get jobs(): readonly JobId[] {
    const current = this.#current;
    const first = current === undefined || current.isOver ? [] : [current];
    return [...first, ...this.#waiting].map(({ job }) => job);
  }

  /** Calls back whenever `jobs` is another. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Runs a job's command, or joins the run of that job. One that has ended already is answered at once.
   * @param started called when the command is given to the shell; again for each who joins
   * @param signal whoever asked is gone; the run goes on
   * @throws OutpostError `busy` when `params.busy` is `fail` and something else runs; `invalid_argument` when the shell
   *   is one that takes no runs; `cancelled` by the signal
   */
  async run(
    params: RunParams,
    started: (shell: RunStarted) => void,
    signal: AbortSignal,
  ): Promise<RunOutcome> {
    if (hasEnded(params.directory)) return { outcome: "ended" };
    const run = this.#find(params.job) ?? this.#refused.get(params.job) ?? this.#add(params);
    if (!(run instanceof Run)) return run;
    const gone = Promise.withResolvers<never>();
    const cancel = (): void =>
      gone.reject(new OutpostError(ErrorCode.cancelled, "whoever asked for the run is gone"));
    signal.addEventListener("abort", cancel, { once: true });
    const forget = run.onStarted(started);
    this.#pump();
    try {
      if (signal.aborted) cancel();
      return await Promise.race([run.result, gone.promise]);
    } finally {
      signal.removeEventListener("abort", cancel);
      forget();
    }
  }

  /**
   * Interrupts a run as a person would; one that waits is taken out. A run that is not there is over: nothing happens.
   * `SIGTERM` and `SIGKILL` end what is in the foreground; a command of the shell itself is interrupted by each of them.
   */
  stop(job: JobId, signal: StopSignal): void {
    const run = this.#find(job);
    if (run === undefined || run.isOver) return;
    if (run.state === "waiting") {
      this.#waiting.splice(this.#waiting.indexOf(run), 1);
      this.#refuse(run, "it was stopped before its turn came");
      return;
    }
    const { process } = this.#terminal;
    const foregroundGroup = (): number | undefined => this.#terminal.foregroundGroup();
    if (signal !== "SIGINT") return interrupt(process.pid, foregroundGroup(), signal);
    const isOver = (): boolean => run.isOver || this.#over !== undefined;
    interruptUntilHeeded({ clock: this.#clock, shell: process.pid, foregroundGroup, isOver });
  }

  /** Takes every mark of the shell, after or before `PromptState` has. */
  mark(mark: Mark): void {
    const run = this.#current;
    if (run === undefined) return;
    switch (mark.kind) {
      case "runBegins":
        if (mark.job !== run.job) return;
        this.#cancelPatience?.();
        run.begun();
        return;
      case "runEnds":
        if (run.state === "running") this.#end(run, { code: mark.status });
        return;
      case "done":
        // Without a mark E: interrupted, or an error that makes the shell give up the whole file. zsh may say 0 of a
        // loop that was interrupted, which it was not.
        if (run.state === "running") this.#end(run, { code: mark.status === 0 ? interrupted : mark.status });
        return;
      case "prompt":
      case "input":
        if (run.state === "typed") this.#doubt(run, patienceMs);
        // The shell could not even show its marks (no descriptors left), except what is in the prompt itself.
        if (run.state === "running" && this.#shellHasTerminal()) this.#end(run, undefined);
        if (run.isOver) this.#current = undefined;
        this.#pump();
        return;
      case "command":
        this.#cancelPatience?.();
        return;
      case "continuation":
      case "leave":
        return;
      default:
        mark satisfies never;
    }
  }

  /** The shell has ended: the run in it ended that way, and those that wait never ran. */
  shellEnded(exit: Exit): void {
    this.#over = "the session ended before its turn came";
    const run = this.#current;
    this.#current = undefined;
    this.#cancelPatience?.();
    this.#rest();
    if (run?.state === "running") this.#end(run, exit);
    else if (run !== undefined) this.#refuse(run, this.#over);
    for (const waiting of this.#waiting.splice(0)) this.#refuse(waiting, this.#over);
  }

  #find(job: JobId): Run | undefined {
    if (this.#current?.job === job) return this.#current;
    return this.#waiting.find((run) => run.job === job);
  }

  #add({ job, directory, operator, busy }: RunParams): Run | RunOutcome {
    if (this.#terminal.integration === "none") {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        "commands can be run in sessions of bash, zsh and sh only, not in this one's shell; enter the session instead",
      );
    }
    if (this.#over !== undefined) return { outcome: "never", message: this.#over };
    const obstacle = this.#occupation() ?? this.#obstacle();
    if (busy === "fail" && obstacle !== undefined) {
      throw new OutpostError(ErrorCode.busy, `the session is busy: ${obstacle}`);
    }
    const run = new Run(job, directory, operator);
    this.#waiting.push(run);
    this.#tell();
    return run;
  }

  /** The run whose turn it is, in words. */
  #occupation(): string | undefined {
    const job = this.jobs[0];
    return job === undefined ? undefined : `it runs job ${job}`;
  }

  /** What keeps a line from being typed, in words. */
  #obstacle(): string | undefined {
    const { prompt } = this.#terminal;
    if (prompt.isStarting) return "its shell has not shown its first prompt yet";
    if (prompt.availability === "busy") {
      return this.#current === undefined
        ? "a command runs in its terminal"
        : "its shell is about to show its prompt";
    }
    if (prompt.halfTyped && this.#terminal.controllerAttached()) return "somebody is typing a command in it";
    return undefined;
  }

  #shellHasTerminal(): boolean {
    return this.#terminal.foregroundGroup() === this.#terminal.process.pid;
  }

  #pump(): void {
    const next = this.#waiting[0];
    if (next === undefined) return this.#rest();
    this.#stopListening ??= this.#terminal.prompt.onChange(() => this.#pump());
    if (this.#current !== undefined) return;
    if (this.#obstacle() !== undefined) return this.#retry();
    if (this.#terminal.prompt.mayHoldText && !this.#giveUpLine()) return this.#retry();
    this.#gaveUpAt = undefined;
    this.#waiting.shift();
    this.#current = next;
    this.#type(next);
  }

  /** True when a line can be typed now, although the shell has shown no new prompt: it ignores Ctrl-C. */
  #giveUpLine(): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#gaveUpAt === undefined) {
      this.#gaveUpAt = now;
      this.#keys(controlC);
      return false;
    }
    if (now - this.#gaveUpAt < patienceMs) return false;
    this.#keys(controlU);
    return true;
  }

  #type(run: Run): void {
    const { integration, process, owner } = this.#terminal;
    const { job, directory, operator } = run;
    if (integration === "none") return;
    try {
      const notice = noticeOf(readJobHead(join(directory, "command"), maxCommandBytes).toString(), operator);
      const text = runText({ integration, job, directory, notice });
      writeJobFile(join(directory, runFileName), text);
      // The directory is ours then, so nobody has put anything else there meanwhile.
      if (owner !== undefined) chownSync(join(directory, runFileName), owner.uid, owner.gid);
    } catch (error) {
      this.#current = undefined;
      this.#refuse(
        run,
        `its files could not be used: ${error instanceof Error ? error.message : String(error)}`,
      );
      this.#pump();
      return;
    }
    run.typed(process);
    this.#keys(runLine(directory));
    this.#doubt(run, lineMs);
  }

  #keys(text: string): void {
    this.#terminal.prompt.typed(Buffer.from(text));
    this.#terminal.write(text);
  }

  /**
   * The shell has not read the run's file, although it shows a prompt again, or has done nothing for long. The line may
   * still be on its way, behind what was typed ahead; else it was interrupted. Once the file is gone it cannot be read later, so `never` is certain.
   */
  #doubt(run: Run, afterMs: number): void {
    this.#cancelPatience?.();
    this.#cancelPatience = this.#clock.after(afterMs, () => {
      if (run.state !== "typed" || this.#current !== run) return;
      rmSync(join(run.directory, runFileName), { force: true });
      this.#cancelPatience = this.#clock.after(patienceMs, () => {
        if (run.state !== "typed" || this.#current !== run) return;
        this.#current = undefined;
        this.#refuse(run, "it was interrupted before it began");
        this.#pump();
      });
    });
  }

  #end(run: Run, exit: Exit | undefined): void {
    run.end(exit);
    this.#tell();
  }

  #refuse(run: Run, why: string): void {
    run.neverRan(why);
    this.#refused.set(run.job, { outcome: "never", message: why });
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= maxRemembered) break;
      this.#refused.delete(oldest);
    }
    this.#tell();
  }

  #retry(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#clock.after(retryMs, () => {
      this.#cancelRetry = undefined;
      this.#pump();
    });
  }

  /** Nothing waits: nobody needs to be told of the prompt. */
  #rest(): void {
    this.#gaveUpAt = undefined;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
