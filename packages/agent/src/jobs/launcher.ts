/**
 * Starts a job: its directory, its files, the wrapper. Everything up to the spawn is synchronous, in an order that
 * makes a crash at any point harmless:
 *
 *     directory ─ spec.json ─ script, stdout, stderr, stdin ─ exit ─ spawn ─ process.json
 *     └── certain that nothing runs ────────────────────────────┘      └── found by the marks in its environment
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  ErrorCode,
  limits,
  OutpostError,
  type Clock,
  type Command,
  type JobSpec,
  type JobStartParams,
} from "@outpost/protocol";
import type { Platform } from "../platform/index.ts";
import { baseEnvironment, jobEnvironment, jobMarks, type Environment } from "./environment.ts";
import { openFeed, type Feed } from "./feed.ts";
import type { JobDirectory, ProcessRecord } from "./job-directory.ts";
import { findProgram } from "./program.ts";
import { emptyExitRecord, wrapperName, wrapperScript } from "./wrapper.ts";

const fileMode = 0o600;

export interface Launched {
  readonly process: ProcessRecord;
  readonly files: { readonly stdout: number; readonly stderr: number; readonly exit: number };
  /** Calls back when the wrapper has exited. */
  readonly onExit: (listener: () => void) => void;
  /** Calls back when what feeds a streamed input has died before its time. */
  readonly onFeederDied: (listener: () => void) => void;
}

export class Launcher {
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #hostName: string;
  readonly #base = baseEnvironment();

  constructor(platform: Platform, clock: Clock, hostName: string) {
    this.#platform = platform;
    this.#clock = clock;
    this.#hostName = hostName;
  }

  /**
   * Starts the job in its directory, which is there and holds the spec.
   * @throws OutpostError `start_failed`: nothing ran. Other errors are of the file system; nothing ran either.
   */
  async launch(directory: JobDirectory, params: JobStartParams): Promise<Launched> {
    const { spec, job } = params;
    const cwd = this.#workingDirectory(spec);
    const environment = jobEnvironment(this.#base, spec.env, jobMarks(job, this.#hostName));
    const argv = writeCommand(directory, spec.command);
    const program = findProgram(argv, environment["PATH"] ?? "", cwd);
    // Options of the shell's `exec` begin so.
    if (argv[0]!.startsWith("-")) argv[0] = program;

    const opened: number[] = [];
    let feed: Feed | undefined;
    const open = (name: string, flags: string): number => {
      const file = openSync(join(directory.path, name), flags, fileMode);
      opened.push(file);
      return file;
    };
    try {
      // Readable for us too: a short job's output is read without opening it again.
      const output = { stdout: open("stdout", "a+"), stderr: open("stderr", "a+") };
      feed = spec.input.kind === "stream" ? openFeed(directory) : undefined;
      const input = spec.input.kind === "inline" ? openInline(directory, spec.input.bytes) : undefined;
      if (input !== undefined) opened.push(input);
      const stdin = feed?.stdin ?? input ?? "ignore";
      // The last one: as long as it is not there, it is certain that nothing runs (adoption.ts).
      const files = { ...output, exit: open("exit", "w+") };
      // At a position, so that the descriptor that the wrapper inherits stays at 0.
      writeSync(files.exit, emptyExitRecord, 0, emptyExitRecord.length, 0);
      const child = await spawned(argv, {
        cwd,
        environment,
        stdio: [stdin, files.stdout, files.exit, files.stderr],
      });
      const process = this.#record(directory, child, program);
      if (input !== undefined) closeSync(input);
      return {
        process,
        files,
        onExit: (listener) => onceExited(child, listener),
        onFeederDied: feed?.onDied ?? (() => {}),
      };
    } catch (error) {
      for (const file of opened) closeSync(file);
      throw explain(error, spec);
    } finally {
      feed?.close();
    }
  }

  #record(directory: JobDirectory, child: ChildProcess, program: string): ProcessRecord {
    const pid = child.pid!;
    const { bootId } = this.#platform;
    // Our child, so it cannot be gone and its pid reused before we have looked; at worst it is a zombie, and over.
    const startTime = this.#platform.startTime(pid) ?? "ended";
    const record = { pid, startTime, bootId, startedAt: this.#clock.now(), program };
    try {
      directory.writeProcess(record);
    } catch {
      // The disk filled up this moment. It runs, and after a crash it is found by its environment.
    }
    return record;
  }

  #workingDirectory(spec: JobSpec): string {
    const cwd = spec.cwd ?? this.#base.HOME;
    const found = statSync(cwd, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) return cwd;
    // Service users often have a home that is not there.
    if (spec.cwd === undefined) return "/";
    throw new OutpostError(
      ErrorCode.startFailed,
      found === undefined ? `there is no directory '${cwd}'` : `'${cwd}' is not a directory`,
    );
  }
}

/** The argument vector to execute; a script is written to its file first. */
function writeCommand(directory: JobDirectory, command: Command): string[] {
  switch (command.kind) {
    case "exec":
      return [...command.argv];
    case "shell":
      return ["/bin/sh", "-c", command.text];
    case "script":
      return [writeScript(directory, command), ...command.args];
  }
}

/** Returns the path of the script's file. */
export function writeScript(directory: JobDirectory, { name, body }: Command & { kind: "script" }): string {
  const path = join(directory.path, "script", name);
  mkdirSync(join(directory.path, "script"), { mode: 0o700 });
  writeFileSync(path, body, { mode: 0o700 });
  return path;
}

function openInline(directory: JobDirectory, bytes: Uint8Array): number {
  const path = directory.file("stdin");
  writeFileSync(path, bytes, { mode: fileMode });
  return openSync(path, "r");
}

interface SpawnOptions {
  readonly cwd: string;
  readonly environment: Environment;
  readonly stdio: (number | "ignore")[];
}

/** Node reports some failures by throwing and some by an event; both become a rejection here. */
function spawned(argv: readonly string[], { cwd, environment, stdio }: SpawnOptions): Promise<ChildProcess> {
  const child = spawn("/bin/sh", ["-c", wrapperScript, wrapperName, ...argv], {
    cwd,
    env: environment,
    stdio,
    detached: true,
  });
  // It outlives us, and must not keep us.
  child.unref();
  if (child.pid !== undefined) return Promise.resolve(child);
  return new Promise((_, reject) => child.once("error", reject));
}

function onceExited(child: ChildProcess, listener: () => void): void {
  if (child.exitCode === null && child.signalCode === null) child.once("exit", listener);
  else listener();
}

function explain(error: unknown, spec: JobSpec): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case "E2BIG":
      return new OutpostError(
        ErrorCode.startFailed,
        spec.command.kind === "shell"
          ? "the shell text is longer than the system takes as one argument (128 KiB on Linux); send it as a script"
          : "an argument, or all arguments and the environment together, are longer than the system takes",
        { cause: error },
      );
    case "EAGAIN":
      return new OutpostError(ErrorCode.startFailed, "the host allows no more processes", { cause: error });
    case "EACCES":
      return new OutpostError(ErrorCode.startFailed, `the working directory may not be entered`, {
        cause: error,
      });
    default:
      return error;
  }
}

/** How many bytes arguments and environment take in the new process. */
function argumentBytes(spec: JobSpec): number {
  const { command } = spec;
  let bytes = 0;
  const count = (text: string): void => void (bytes += Buffer.byteLength(text) + 1);
  switch (command.kind) {
    case "exec":
      command.argv.forEach(count);
      break;
    case "shell":
      count(command.text);
      break;
    case "script":
      command.args.forEach(count);
      break;
  }
  for (const [name, value] of Object.entries(spec.env)) count(`${name}=${value}`);
  return bytes;
}

/** @throws OutpostError `limit_exceeded` */
export function checkArguments(spec: JobSpec): void {
  const bytes = argumentBytes(spec);
  if (bytes <= limits.maxArgumentBytes) return;
  throw new OutpostError(
    ErrorCode.limitExceeded,
    `arguments and environment are ${String(bytes)} bytes, more than the limit of ${String(limits.maxArgumentBytes)}; send them as input or in a script`,
    { data: { limit: "maxArgumentBytes", value: limits.maxArgumentBytes } },
  );
}
