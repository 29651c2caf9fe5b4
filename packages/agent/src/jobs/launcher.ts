/**
 * Starts a job: its directory, its files, the wrapper. Everything up to the spawn is synchronous, in an order that
 * makes a crash at any point harmless:
 *
 *     directory ─ spec.json ─ script, stdout, stderr, stdin ─ exit ─ spawn ─ process.json
 *     └── certain that nothing runs ────────────────────────────┘      └── found by the marks in its environment
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, fchownSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
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
import type { AdmittedJob } from "../configurations/index.ts";
import { HandedDirectory } from "../handed-directory.ts";
import { type Account, type Platform, strayDescriptors } from "../platform/index.ts";
import { jobMarks } from "./environment.ts";
import { type Execution, firstInherited, prepareExecution } from "./execution.ts";
import { openFeed, type Feed } from "./feed.ts";
import type { JobDirectory, ProcessRecord } from "./job-directory.ts";
import { openJobFile, writeJobFile } from "./job-file.ts";
import {
  emptyExitRecord,
  emptyRetryingExitRecord,
  retryingScript,
  wrapperName,
  wrapperScript,
} from "./wrapper.ts";

export interface Launched {
  readonly process: ProcessRecord;
  readonly files: { readonly stdout: number; readonly stderr: number; readonly exit: number };
  /** Calls back when the wrapper has exited. */
  readonly onExit: (listener: () => void) => void;
  /** Calls back when what feeds a streamed input has died before its time. */
  readonly onFeederDied: (listener: () => void) => void;
}

/** Starts a job in its directory. The fleet emulator has one that starts no process. */
export type JobLauncher = Pick<Launcher, "launch">;

/** A wrapper that was started. */
export interface StartedProcess {
  readonly pid: number;
  /** Calls back when it has exited. */
  readonly onExit: (listener: () => void) => void;
}

/** Starts `/bin/sh` with these arguments, as the leader of a session. @throws the system's error; nothing runs then */
export type StartProcess = (argv: readonly string[], options: SpawnOptions) => Promise<StartedProcess>;

export class Launcher {
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #hostName: string;
  readonly #handed: string | undefined;
  readonly #start: StartProcess;
  /** What a job would inherit by accident; Node opens nothing that stays open, so they are always the same. */
  readonly #strays = strayDescriptors();

  /**
   * @param handed where files for other users go; without it nothing runs as another
   * @param start default: as a child of this process
   */
  constructor(
    platform: Platform,
    clock: Clock,
    hostName: string,
    handed?: string,
    start: StartProcess = spawned,
  ) {
    this.#platform = platform;
    this.#clock = clock;
    this.#hostName = hostName;
    this.#handed = handed;
    this.#start = start;
  }

  /**
   * Starts the job in its directory, which is there and holds the spec.
   * @throws OutpostError `start_failed`: nothing ran. Other errors are of the file system; nothing ran either.
   */
  async launch(directory: JobDirectory, params: JobStartParams, admitted: AdmittedJob): Promise<Launched> {
    const { spec, job, secrets } = params;
    const account = admitted.runAs?.account;
    const execution = prepareExecution({
      job,
      admitted,
      secrets,
      marks: jobMarks(job, this.#hostName),
      script: this.#writeScript(directory, admitted),
      directory: directory.path,
    });
    const opened: number[] = [];
    let feed: Feed | undefined;
    const open = (name: "stdout" | "stderr" | "exit", flags: "a+" | "w+"): number => {
      const file = openJobFile(directory.file(name), flags);
      opened.push(file);
      return file;
    };
    try {
      // Readable for us too: a short job's output is read without opening it again.
      const output = { stdout: open("stdout", "a+"), stderr: open("stderr", "a+") };
      feed = spec.input.kind === "stream" ? openFeed(directory) : undefined;
      const input = spec.input.kind === "inline" ? openInline(directory, spec.input.bytes) : undefined;
      if (input !== undefined) opened.push(input);
      const stdin = feed?.stdin ?? input;
      handOver([output.stdout, output.stderr, stdin], account);
      // The last one: as long as it is not there, it is certain that nothing runs (adoption.ts).
      const files = { ...output, exit: open("exit", "w+") };
      // At a position, so that the descriptor that the wrapper inherits stays at 0.
      const { retry } = spec;
      const empty = retry === undefined ? emptyExitRecord : emptyRetryingExitRecord();
      writeSync(files.exit, empty, 0, empty.length, 0);
      const wrapper = await this.#spawn(execution, retry, [
        stdin ?? "ignore",
        files.stdout,
        files.exit,
        files.stderr,
      ]);
      const process = this.#record(directory, wrapper.pid, execution.program);
      if (input !== undefined) closeSync(input);
      return {
        process,
        files,
        onExit: wrapper.onExit,
        onFeederDied: feed?.onDied ?? (() => {}),
      };
    } catch (error) {
      for (const file of opened) closeSync(file);
      throw explain(error, spec);
    } finally {
      for (const file of execution.inherited) closeSync(file);
      feed?.close();
    }
  }

  /** The path of a script's file: in the job's directory, or where another user gets to. */
  #writeScript(directory: JobDirectory, { command, runAs }: AdmittedJob): string | undefined {
    if (command.kind !== "script") return undefined;
    if (runAs === undefined) return writeScript(directory, command);
    return handScript(this.#hand(directory, runAs.account), command);
  }

  #hand({ job }: JobDirectory, owner: Account): HandedDirectory {
    if (this.#handed === undefined)
      throw new OutpostError(ErrorCode.internal, "there is no place to hand a script over");
    return new HandedDirectory(this.#handed, "jobs", job, owner);
  }

  async #spawn(
    { argv: command, cwd, environment, inherited }: Execution,
    retry: JobSpec["retry"],
    streams: Stdio,
  ): Promise<StartedProcess> {
    const argv = wrapped(command, retry);
    const stdio: Stdio = [...streams];
    inherited.forEach((file, index) => (stdio[firstInherited + index] = file));
    const strays = this.#strays.filter((fd) => stdio[fd] === undefined);
    if (strays.length === 0) return this.#start(argv, { cwd, environment, stdio });
    // Node leaves them as they are, but for those that it is given something else for.
    const nothing = openSync("/dev/null", "r");
    try {
      for (const stray of strays) stdio[stray] = nothing;
      return await this.#start(argv, {
        cwd,
        environment,
        stdio: Array.from(stdio, (each) => each ?? "ignore"),
      });
    } finally {
      closeSync(nothing);
    }
  }

  #record(directory: JobDirectory, pid: number, program: string): ProcessRecord {
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
}

type Stdio = (number | "ignore")[];

/** What a job runs as opens by name, too (`/dev/stdout`): it has to be that user's. */
function handOver(files: readonly (number | undefined)[], owner: Account | undefined): void {
  if (owner === undefined) return;
  for (const file of files) if (file !== undefined) fchownSync(file, owner.uid, owner.gid);
}

/** Only that user may read and execute it. */
export function handScript(to: HandedDirectory, { name, body }: Command & { kind: "script" }): string {
  to.folder("script");
  return to.write(join("script", name), body, 0o500);
}

/** Returns the path of the script's file. */
export function writeScript(directory: JobDirectory, { name, body }: Command & { kind: "script" }): string {
  const path = join(directory.path, "script", name);
  mkdirSync(join(directory.path, "script"), { mode: 0o700 });
  writeFileSync(path, body, { mode: 0o700, flag: "wx" });
  return path;
}

function openInline(directory: JobDirectory, bytes: Uint8Array): number {
  const path = directory.file("stdin");
  writeJobFile(path, bytes);
  return openSync(path, "r");
}

export interface SpawnOptions {
  readonly cwd: string;
  readonly environment: Execution["environment"];
  readonly stdio: Stdio;
}

function wrapped(argv: readonly string[], retry: JobSpec["retry"]): string[] {
  if (retry === undefined) return ["-c", wrapperScript, wrapperName, ...argv];
  const { times, delayMs } = retry;
  return ["-c", retryingScript, wrapperName, String(times), String(delayMs / 1000), ...argv];
}

/** Node reports some failures by throwing and some by an event; both become a rejection here. */
function spawned(
  argv: readonly string[],
  { cwd, environment, stdio }: SpawnOptions,
): Promise<StartedProcess> {
  const child = spawn("/bin/sh", argv, {
    cwd,
    env: environment,
    stdio,
    detached: true,
  });
  // It outlives us, and must not keep us.
  child.unref();
  const { pid } = child;
  if (pid !== undefined) {
    return Promise.resolve({ pid, onExit: (listener) => onceExited(child, listener) });
  }
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
function argumentBytes({ spec, secrets }: JobStartParams): number {
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
    case "put":
      count(command.path);
      break;
    case "get":
      command.paths.forEach(count);
      break;
  }
  for (const [name, value] of Object.entries({ ...spec.env, ...secrets?.env })) count(`${name}=${value}`);
  return bytes;
}

/** @throws OutpostError `limit_exceeded` */
export function checkArguments(params: JobStartParams): void {
  const bytes = argumentBytes(params);
  if (bytes <= limits.maxArgumentBytes) return;
  throw new OutpostError(
    ErrorCode.limitExceeded,
    `arguments and environment are ${String(bytes)} bytes, more than the limit of ${String(limits.maxArgumentBytes)}; send them as input or in a script`,
    { data: { limit: "maxArgumentBytes", value: limits.maxArgumentBytes } },
  );
}
