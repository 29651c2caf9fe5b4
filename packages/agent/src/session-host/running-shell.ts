/**
 * The live part of a session: a shell on a terminal, the emulator that knows its screen, the marks that tell what the
 * shell does, the runs of `invoke --session`, and the recording. It passes on what happens and decides nothing.
 *
 * The terminal is not read while the emulator has much to parse, or while the session is told to block; the shell then
 * waits as soon as the kernel's buffer is full. Nothing else makes it wait: no viewer does.
 */
import type { Clock, Exit, JobId, SessionSpec, ShellIntegration } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Account, Platform } from "../platform/index.ts";
import type { ShellExecution } from "./execution.ts";
import { describeProcess } from "./foreground.ts";
import type { Recording } from "./recording.ts";
import { Screen, type Snapshot } from "./screen.ts";
import { type Mark, MarkScanner, PromptState, Runs, type ShellTerminal } from "./shell/index.ts";
import { endTerminal } from "./terminal-end.ts";
import { Terminal } from "./terminal.ts";

/** How many bytes may wait for the emulator. It parses some 25 MB/s, so this is what a repaint waits for at most: 40 ms. */
const maxBacklogBytes = 1024 * 1024;

export interface RunningShellEvents {
  /** Output, as it comes. Returns the offset of its first byte. */
  output(bytes: Buffer): number;
  /** Availability or runs may be others. */
  changed(): void;
  /** `exit` was typed where that leaves the session. */
  left(): void;
  /** The shell has exited, and all its output has been told. */
  ended(exit: Exit): void;
  /** Whether somebody is attached who controls: then the terminal's questions are for him to answer. */
  controlled(): boolean;
  /** The emulator has answered what bytes from `offset` on asked. */
  answered(offset: number): void;
}

export interface RunningShellOptions {
  readonly execution: ShellExecution;
  readonly integration: ShellIntegration;
  /** Whose shell it is. Absent: the agent's user's. */
  readonly owner: Account | undefined;
  readonly spec: SessionSpec;
  readonly nonce: string;
  readonly scrollbackLines: number;
  readonly recording: Recording | undefined;
  readonly platform: Platform;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: RunningShellEvents;
}

export class RunningShell {
  readonly integration: ShellIntegration;
  readonly prompt: PromptState;
  readonly runs: Runs;
  /** The shell: leader of its terminal's session. */
  readonly process: { readonly pid: number; readonly startTime: string };
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #scanner: MarkScanner;
  readonly #recording: Recording | undefined;
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #events: RunningShellEvents;
  readonly #owner: Account | undefined;
  readonly #unwatchPrompt: () => void;
  #blocked = false;
  #disposed = false;

  /** @throws OutpostError `start_failed` */
  constructor(options: RunningShellOptions) {
    const { execution, owner, spec, clock, platform, events } = options;
    const { columns, rows } = spec;
    this.#events = events;
    this.#platform = platform;
    this.#clock = clock;
    this.#log = options.log;
    this.#recording = options.recording;
    this.#owner = owner;
    this.integration = options.integration;
    this.#scanner = new MarkScanner(options.nonce);
    this.#screen = new Screen({
      columns,
      rows,
      scrollbackLines: options.scrollbackLines,
      onAnswer: (answer, offset) => {
        events.answered(offset);
        this.#terminal.write(Buffer.from(answer));
      },
    });
    this.#screen.onParsed = () => this.#flow();
    this.#terminal = new Terminal({
      ...execution,
      owner,
      columns,
      rows,
      clock,
      onData: (bytes) => this.#arrived(bytes),
      onExit: (exit) => this.#ended(exit),
    });
    const { pid } = this.#terminal;
    this.process = { pid, startTime: platform.startTime(pid) ?? "" };
    this.prompt = new PromptState({
      integration: this.integration,
      foregroundIsShell: () => this.#terminal.foregroundGroup() === pid,
      clock,
    });
    this.#unwatchPrompt = this.prompt.onChange(() => events.changed());
    this.runs = new Runs(this.#shellTerminal(), clock);
    this.runs.onChange(() => events.changed());
  }

  /** What runs in the foreground, in words; `undefined` when it is the shell itself. */
  get command(): string | undefined {
    const group = this.#terminal.foregroundGroup();
    if (group === undefined || group === this.process.pid) return undefined;
    return describeProcess(this.#platform, group);
  }

  /** Somebody's keystrokes. @param taken called when the terminal has them */
  typed(bytes: Uint8Array, taken: () => void): void {
    this.#terminal.write(bytes, taken);
    this.prompt.typed(bytes);
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
    this.#screen.resize(columns, rows);
    this.#recording?.resize(columns, rows);
  }

  /** `undefined` once the emulator is gone. */
  snapshot(scrollback: boolean): Promise<Snapshot> | undefined {
    return this.#disposed ? undefined : this.#screen.snapshot(scrollback);
  }

  /** Whether the shell has to wait with its output. */
  set blocked(blocked: boolean) {
    this.#blocked = blocked;
    this.#flow();
  }

  run(...args: Parameters<Runs["run"]>): ReturnType<Runs["run"]> {
    return this.runs.run(...args);
  }

  get jobs(): readonly JobId[] {
    return this.runs.jobs;
  }

  /** Ends the shell and all that runs in its terminal. Resolves when nothing of it is left. */
  end(graceMs: number): Promise<void> {
    return endTerminal({ platform: this.#platform, clock: this.#clock, leader: this.process, graceMs });
  }

  /** Lets go of the emulator, after the end. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#screen.dispose();
  }

  #arrived(bytes: Buffer): void {
    // Viewers first: everything else can wait some microseconds.
    const offset = this.#events.output(bytes);
    const marks = this.#scanner.push(offset, bytes);
    this.#screen.write(bytes, this.#scanner.atRest, !this.#events.controlled());
    this.#recording?.output(bytes);
    for (const mark of marks) this.#guard(() => this.#marked(mark));
    this.#flow();
  }

  #marked(mark: Mark): void {
    this.prompt.mark(mark);
    this.runs.mark(mark);
    if (mark.kind === "leave") this.#events.left();
  }

  /** A fault in what follows the shell (a full disk, say) MUST NOT end the other sessions of this process, or this one. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#log.error({ err: error }, "fault while following the shell");
    }
  }

  #flow(): void {
    if (this.#blocked || this.#screen.backlogBytes > maxBacklogBytes) this.#terminal.pause();
    else this.#terminal.resume();
  }

  #ended(exit: Exit): void {
    this.#unwatchPrompt();
    this.#guard(() => this.runs.shellEnded(exit));
    this.#recording?.close();
    this.#events.ended(exit);
  }

  #shellTerminal(): ShellTerminal {
    return {
      write: (text) => this.#terminal.write(Buffer.from(text)),
      prompt: this.prompt,
      integration: this.integration,
      process: this.process,
      owner: this.#owner,
      foregroundGroup: () => this.#terminal.foregroundGroup(),
      controllerAttached: () => this.#events.controlled(),
    };
  }
}
