/** A shell on a PTY as a session has it, without the session: for tests of integration and runs. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { type IPty, spawn } from "@lydell/node-pty";
import { type Exit, type JobId, newJobId, type RunStarted } from "@outpost/protocol";
import { parseExitRecord } from "../../../jobs/exit-record.ts";
import { emptyExitRecord } from "../../../jobs/wrapper.ts";
import { hostPlatform } from "../../../platform/index.ts";
import { foregroundGroup } from "../../foreground.ts";
import {
  type Mark,
  MarkScanner,
  prepareShell,
  type PreparedShell,
  PromptState,
  Runs,
  type ShellTerminal,
} from "../index.ts";
import type { ShellUnderTest } from "./shells.ts";

const waitMs = 20_000;
const nonce = "n0nce";

export interface TestShellOptions {
  readonly shell: ShellUnderTest;
  /** Files of the user's home, by name. */
  readonly home?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly onExit?: "end" | "leave";
  /** Changes the start-up files before the shell reads them. */
  readonly prepared?: (directory: string) => void;
}

export interface Ran {
  readonly job: JobId;
  readonly directory: string;
  readonly outcome: "ended" | "never";
  readonly message?: string | undefined;
  readonly exit: Exit | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestShell implements ShellTerminal, AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "outpost-shell-"));
  readonly home = join(this.root, "home");
  readonly prepared: PreparedShell;
  readonly prompt: PromptState;
  readonly runs: Runs;
  readonly process: { readonly pid: number; readonly startTime: string };
  readonly marks: Mark[] = [];
  readonly started: RunStarted[] = [];
  controlled = false;
  exit: Exit | undefined;
  readonly #pty: IPty;
  readonly #scanner = new MarkScanner(nonce);
  readonly #exited = Promise.withResolvers<void>();
  #output = Buffer.alloc(0);

  constructor(options: TestShellOptions) {
    mkdirSync(this.home);
    // Without any file of its own zsh asks questions; the rest of a home is the test's.
    for (const [name, text] of Object.entries({ ".zshrc": "unsetopt prompt_sp\n", ...options.home }))
      writeFileSync(join(this.home, name), text);
    const env = {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: this.home,
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      ...options.env,
    };
    const directory = join(this.root, "shell");
    const { onExit = "end" } = options;
    this.prepared = prepareShell({
      directory,
      shell: this.#program(options.shell),
      nonce,
      hostName: "web1",
      env,
      onExit,
    });
    options.prepared?.(directory);
    const { file, argv } = this.prepared;
    const size = { cols: 200, rows: 50 };
    this.#pty = spawn(file, argv, { ...size, cwd: this.home, env: this.prepared.env, encoding: null });
    this.process = { pid: this.#pty.pid, startTime: hostPlatform().startTime(this.#pty.pid)! };
    this.prompt = new PromptState({
      integration: this.integration,
      foregroundIsShell: () => this.foregroundGroup() === this.process.pid,
    });
    this.runs = new Runs(this);
    this.#pty.onData((data) => this.#onData(data as unknown as Buffer));
    this.#pty.onExit(({ exitCode, signal }) => this.#onExit(exitCode, signal));
  }

  get integration(): PreparedShell["integration"] {
    return this.prepared.integration;
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output.toString();
  }

  /** What it has printed, without control sequences and carriage returns. */
  get text(): string {
    return plain(this.output);
  }

  write(text: string): void {
    this.#pty.write(text);
  }

  foregroundGroup(): number | undefined {
    return foregroundGroup(this.process.pid);
  }

  /** The command line of what is in the foreground. A program that has not begun yet does not heed signals as it will. */
  foreground(): string {
    return hostPlatform().commandLine(this.foregroundGroup() ?? this.process.pid);
  }

  /** The command lines of all that the shell has started in its terminal. */
  programs(): string[] {
    const platform = hostPlatform();
    const { pid } = this.process;
    const children = platform.processes().filter((info) => info.session === pid && info.pid !== pid);
    return children.map((info) => platform.commandLine(info.pid));
  }

  controllerAttached(): boolean {
    return this.controlled;
  }

  /** Types as a viewer does. */
  type(text: string): void {
    this.prompt.typed(Buffer.from(text));
    this.write(text);
  }

  /** Resolves when the condition holds; it is looked at whenever anything comes. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + waitMs;
    while (!condition()) {
      if (performance.now() > deadline) {
        throw new Error(
          `${what} did not come; the terminal shows:\n${JSON.stringify(this.output.slice(-2000))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async available(): Promise<void> {
    await this.until("the prompt", () => this.prompt.availability === "available");
  }

  /** Types a line at the prompt and returns what was printed, as plain text, up to the next prompt's end. */
  async line(text: string): Promise<string> {
    await this.available();
    const from = this.#output.length;
    const marks = this.marks.length;
    this.type(`${text}\r`);
    await this.until(`the prompt after ${JSON.stringify(text)}`, () =>
      this.marks.slice(marks).some(({ kind }) => kind === "input"),
    );
    await this.available();
    return plain(this.#output.subarray(from).toString());
  }

  /** Makes a job's directory as the launcher does. */
  job(command: string, stdin?: string): { job: JobId; directory: string } {
    const job = newJobId();
    const directory = join(this.root, job);
    mkdirSync(directory);
    const files = { command: `${command}\n`, stdout: "", stderr: "", exit: emptyExitRecord.toString() };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    if (stdin !== undefined) writeFileSync(join(directory, "stdin"), stdin);
    return { job, directory };
  }

  /** Runs a command as `invoke --session` does. */
  async run(command: string, options: { stdin?: string; busy?: "wait" | "fail" } = {}): Promise<Ran> {
    const { job, directory } = this.job(command, options.stdin);
    return this.follow(job, directory, options.busy ?? "wait");
  }

  async follow(job: JobId, directory: string, busy: "wait" | "fail" = "wait"): Promise<Ran> {
    const wanted = { job, directory, busy, operator: "ada" };
    const started = (shell: RunStarted): void => void this.started.push(shell);
    const { outcome, message } = await this.runs.run(wanted, started, new AbortController().signal);
    const read = (name: string): string => readFileSync(join(directory, name), "latin1");
    const record = parseExitRecord(readFileSync(join(directory, "exit")));
    const exit = record.kind === "complete" ? record.exit : undefined;
    return { job, directory, outcome, message, exit, stdout: read("stdout"), stderr: read("stderr") };
  }

  async ended(): Promise<Exit> {
    await this.until("the shell's end", () => this.exit !== undefined);
    return this.exit!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const platform = hostPlatform();
    for (const { pid, session } of platform.processes()) {
      if (session === this.process.pid && pid !== this.process.pid) kill(pid);
    }
    if (this.exit === undefined) kill(this.process.pid);
    await this.#exited.promise;
    rmSync(this.root, { recursive: true, force: true });
  }

  #program({ path, link }: ShellUnderTest): string {
    if (link === undefined) return path;
    const file = join(this.root, link);
    symlinkSync(path, file);
    return file;
  }

  #onData(bytes: Buffer): void {
    const offset = this.#output.length;
    this.#output = Buffer.concat([this.#output, bytes]);
    for (const mark of this.#scanner.push(offset, bytes)) {
      this.marks.push(mark);
      this.prompt.mark(mark);
      this.runs.mark(mark);
    }
  }

  #onExit(code: number, signal: number | undefined): void {
    const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
    this.exit = name === undefined ? { code } : { signal: name };
    this.runs.shellEnded(this.exit);
    this.#exited.resolve();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone.
  }
}

/** Text without control sequences, as it stands on the screen. */
function plain(output: string): string {
  return output
    .replaceAll(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
    .replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, "")
    .replaceAll(/\u001b[=>()][0B]?/g, "")
    .replaceAll("\r", "");
}
