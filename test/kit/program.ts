/** A program of ours as a child process that can be killed, paused and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { eventually } from "./wait.ts";

export interface ProgramOptions {
  readonly name: string;
  /** The argument vector, program first. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Where stdout and stderr go, appended. */
  readonly logFile: string;
}

export class Program implements AsyncDisposable {
  readonly name: string;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(options: ProgramOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** All that it has printed so far, over all its starts. */
  get log(): string {
    return readFileSync(this.#options.logFile, "utf8");
  }

  start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    const { argv, env, logFile } = this.#options;
    const log = openSync(logFile, "a");
    const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once("exit", () => resolve()));
  }

  /** Sends a signal and, unless it only pauses or resumes, waits for the end. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning) return;
    this.#child?.kill(signal);
    if (signal === "SIGSTOP" || signal === "SIGCONT") return;
    await this.#exited;
  }

  /** Waits until the log of this start or an earlier one holds `text`. */
  async printed(text: string): Promise<void> {
    await eventually(
      () => {
        if (!this.isRunning) throw new Error(`${this.name} has ended:\n${this.log}`);
        return this.log.includes(text);
      },
      { what: `"${text}" in the log of ${this.name}` },
    );
  }

  /** Ends it: SIGTERM, and SIGKILL after five seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await this.#exited;
    clearTimeout(timer);
  }
}
