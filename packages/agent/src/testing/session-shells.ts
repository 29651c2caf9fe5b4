/**
 * Sessions for job tests: each run has a bash of its own as a "shell" that sources the job's command and writes the exit
 * record, as a session's shell does. Runs are taken in order; tests hold them back, cut the connection, and lose the host.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  ErrorCode,
  type JobId,
  OutpostError,
  type RunStarted,
  type SessionRunParams,
  type SessionRunResult,
  type SessionStatus,
  type SessionStopRunParams,
} from "@outpost/protocol";
import type { SessionShells } from "../jobs/session-shells.ts";
import { hostPlatform } from "../platform/index.ts";
import { openedSession } from "./sessions.ts";

interface Run {
  readonly directory: string;
  shell: ChildProcess | undefined;
  started: RunStarted | undefined;
  result: SessionRunResult | undefined;
  readonly waiting: Set<{ started(process: RunStarted): void; settle(error?: OutpostError): void }>;
}

const cut = (): OutpostError => new OutpostError(ErrorCode.disconnected, "the session host has gone");

export class FakeShells implements SessionShells {
  readonly session = openedSession();
  /** What `find` knows. */
  readonly held: SessionStatus[] = [this.session];
  readonly runs = new Map<JobId, Run>();
  readonly asked: SessionRunParams[] = [];
  readonly stops: SessionStopRunParams[] = [];
  /** While true, runs wait for their turn. */
  isHeld = false;
  /** While set, every request fails with it. */
  refusal: OutpostError | undefined;
  /** Signals that do not arrive. */
  readonly ignored = new Set<SessionStopRunParams["signal"]>();
  readonly #platform = hostPlatform();

  ready(): Promise<void> {
    return Promise.resolve();
  }

  find(ids: readonly string[]): SessionStatus | undefined {
    return this.held.find(({ session }) => ids.includes(session));
  }

  run(
    params: SessionRunParams,
    started: (process: RunStarted) => void,
    signal: AbortSignal,
  ): Promise<SessionRunResult> {
    this.asked.push(params);
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    if (!this.runs.has(params.job) && params.busy === "fail" && (this.isHeld || this.#isBusy))
      return Promise.reject(new OutpostError(ErrorCode.busy, "the session runs something else"));
    const run = this.runs.get(params.job) ?? this.#add(params);
    return new Promise((resolve, reject) => {
      const waiting = {
        started,
        settle(error?: OutpostError): void {
          run.waiting.delete(waiting);
          if (error !== undefined) reject(error);
          else if (run.result !== undefined) resolve(run.result);
        },
      };
      run.waiting.add(waiting);
      signal.addEventListener("abort", () => waiting.settle(cut()));
      if (run.started !== undefined) started(run.started);
      if (run.result !== undefined) waiting.settle();
      else this.#next();
    });
  }

  stopRun(params: SessionStopRunParams): Promise<void> {
    this.stops.push(params);
    const run = this.runs.get(params.job);
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    if (run === undefined || this.ignored.has(params.signal)) return Promise.resolve();
    if (run.shell === undefined) this.#end(run, { outcome: "never", message: "it was taken out" });
    else process.kill(-run.shell.pid!, params.signal);
    return Promise.resolve();
  }

  /** Whoever waits for answers hears no more; the runs go on. */
  cut(): void {
    for (const run of this.runs.values()) for (const waiting of run.waiting) waiting.settle(cut());
  }

  /** Lets those run that wait for their turn. */
  release(): void {
    this.isHeld = false;
    this.#next();
  }

  /** The session host dies, and its shells with it. */
  async lose(): Promise<void> {
    this.refusal = new OutpostError(ErrorCode.conflict, "the session is broken");
    this.isHeld = true;
    for (const { shell } of this.runs.values()) {
      if (shell?.exitCode !== null || shell.signalCode !== null) continue;
      process.kill(-shell.pid!, "SIGKILL");
      await new Promise((resolve) => shell.once("close", resolve));
    }
    this.cut();
  }

  get #isBusy(): boolean {
    return [...this.runs.values()].some(({ result }) => result === undefined);
  }

  #add({ job, directory }: SessionRunParams): Run {
    const run: Run = {
      directory,
      shell: undefined,
      started: undefined,
      result: undefined,
      waiting: new Set(),
    };
    this.runs.set(job, run);
    return run;
  }

  #next(): void {
    if (this.isHeld) return;
    const runs = [...this.runs.values()];
    if (runs.some(({ started, result }) => started !== undefined && result === undefined)) return;
    const next = runs.find(({ started, result }) => started === undefined && result === undefined);
    if (next !== undefined) this.#start(next);
  }

  #start(run: Run): void {
    const { directory } = run;
    const stdin = existsSync(join(directory, "stdin")) ? "stdin" : "/dev/null";
    // The trap is what keeps an interactive shell there when its foreground is interrupted.
    const script = `trap : INT; . ./command <${stdin} >>stdout 2>>stderr; echo "exit $?" 1<>exit`;
    const shell = spawn("bash", ["-c", script], { cwd: directory, stdio: "ignore", detached: true });
    const pid = shell.pid!;
    run.shell = shell;
    run.started = { pid, startTime: this.#platform.startTime(pid) ?? "" };
    for (const waiting of run.waiting) waiting.started(run.started);
    shell.once("exit", () => this.#end(run, { outcome: "ended" }));
  }

  #end(run: Run, result: SessionRunResult): void {
    run.result = result;
    for (const waiting of run.waiting) waiting.settle();
    this.#next();
  }
}
