/**
 * A pseudo-terminal and the shell on it: bytes in, bytes out, its size, its end.
 *
 *     running ──shell exits──▶ draining ──all output read──▶ ended
 *        └──────terminal closed by all──────────────────────────▲
 *
 * The shell's exit is told when all that it wrote has been. What it has left in the background may hold the terminal
 * open and write to it for ever: then the terminal is closed once what the shell itself wrote must have come.
 *
 * The native part of @lydell/node-pty is used without the class around it, which destroys the terminal 200 ms after the
 * exit whether it was read or not, and sets IUTF8 only when it may turn the bytes into text.
 */
import { chownSync } from "node:fs";
import { constants } from "node:os";
import { createRequire } from "node:module";
import { ReadStream } from "node:tty";
import { requireBinary } from "@lydell/node-pty/requireBinary.js";
import { type Clock, ErrorCode, type Exit, OutpostError } from "@outpost/protocol";
import type { Account } from "../platform/index.ts";
import { foregroundGroup } from "./foreground.ts";
import { withoutInherited } from "./inherited-files.ts";

const pty = requireBinary("pty.node");

/** How long the terminal must be quiet, twice in a row, before what the shell wrote counts as read, in milliseconds. */
const quietMs = 25;
/** The kernel holds less than this of what was written and not read, in bytes. */
const maxHeldBytes = 1024 * 1024;

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

export interface TerminalOptions {
  /** Absolute. */
  readonly file: string;
  /** Without the program's own name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whose the terminal is, when the program becomes another user. */
  readonly owner?: Account | undefined;
  readonly columns: number;
  readonly rows: number;
  readonly clock: Clock;
  /** Called as output comes, with bytes that nobody else writes to. */
  readonly onData: (bytes: Buffer) => void;
  /** Called once, after the last output. */
  readonly onExit: (exit: Exit) => void;
}

export class Terminal {
  readonly pid: number;
  readonly #options: TerminalOptions;
  readonly #fd: number;
  readonly #stream: ReadStream;
  #exit: Exit | undefined;
  #closed = false;
  #paused = false;
  #sinceExitBytes = 0;
  #quietTicks = 0;

  /** @throws OutpostError `start_failed` when there is no terminal to be had */
  constructor(options: TerminalOptions) {
    this.#options = options;
    const { env, cwd, columns, rows, owner } = options;
    const { file, args } = withoutInherited(options, owner !== undefined);
    const variables = Object.entries({ ...env, PWD: cwd }).map(([name, value]) => `${name}=${value}`);
    const onExit = (code: number, signal: number): void => this.#exited(code, signal);
    try {
      const started = pty.fork(file, args, variables, cwd, columns, rows, -1, -1, true, helper(), onExit);
      this.#fd = started.fd;
      this.pid = started.pid;
      if (owner !== undefined) giveTerminal(started.pty, owner);
    } catch (error) {
      throw new OutpostError(ErrorCode.startFailed, `no terminal to be had: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.#stream = new ReadStream(this.#fd);
    // EIO: nobody has the terminal open any more. It is followed by `close`.
    this.#stream.on("error", () => {});
    this.#stream.on("data", (bytes: Buffer) => this.#arrived(bytes));
    this.#stream.on("close", () => {
      this.#closed = true;
      this.#settle();
    });
  }

  /**
   * Writes what was typed. At once if the terminal takes it, else in order as it does; nothing is lost however long the
   * program does not read.
   * @param taken called when the kernel has all of it, or never will
   */
  write(bytes: Uint8Array, taken: () => void = () => {}): void {
    if (this.#closed || this.#stream.destroyed) taken();
    else this.#stream.write(bytes, taken);
  }

  /** Stops reading: the program waits as soon as the kernel's buffer is full. Not after the shell's exit. */
  pause(): void {
    if (this.#paused || this.#exit !== undefined) return;
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resume();
  }

  resize(columns: number, rows: number): void {
    if (!this.#closed && !this.#stream.destroyed) pty.resize(this.#fd, columns, rows);
  }

  /** The process group that has the terminal's foreground: the shell's pid when it waits for a command itself. */
  foregroundGroup(): number | undefined {
    return foregroundGroup(this.pid);
  }

  #arrived(bytes: Buffer): void {
    this.#quietTicks = 0;
    if (this.#exit !== undefined) this.#sinceExitBytes += bytes.byteLength;
    this.#options.onData(bytes);
  }

  #exited(code: number, signal: number): void {
    this.#exit = signal === 0 ? { code } : { signal: signalNames.get(signal) ?? `SIG${String(signal)}` };
    this.resume();
    this.#settle();
  }

  #settle(): void {
    if (this.#exit === undefined) return;
    if (this.#closed) {
      this.#options.onExit(this.#exit);
      return;
    }
    this.#options.clock.after(quietMs, () => {
      if (this.#closed) return;
      // What is there already is read before the next tick: timers come first in a turn of the event loop.
      const drained = this.#quietTicks++ >= 2 || this.#sinceExitBytes > maxHeldBytes;
      if (drained) this.#stream.destroy();
      else this.#settle();
    });
  }
}

/** Programs open their terminal by its name, too (`tty`). The group stays: it is for write(1). */
function giveTerminal(path: string, { uid }: Account): void {
  try {
    chownSync(path, uid, -1);
  } catch {
    // The program has ended already, and its terminal with it.
  }
}

/** macOS cannot fork safely with threads: a small program does what must be done between fork and exec. */
function helper(): string {
  if (process.platform !== "darwin") return "";
  const here = createRequire(import.meta.url);
  const fromPty = createRequire(here.resolve("@lydell/node-pty"));
  return fromPty.resolve(`@lydell/node-pty-${process.platform}-${process.arch}/spawn-helper`);
}
