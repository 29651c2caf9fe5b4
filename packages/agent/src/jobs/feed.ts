/**
 * A pipe to a job's standard input, filled by a process of its own (feeder.ts) from the spool: `feeder | wrapper`.
 * Neither end is ours, so neither the job nor its input notices when the agent dies.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JobDirectory } from "./job-directory.ts";
import { writeJobFile } from "./job-file.ts";

export interface Feed {
  /** The reading end, to be inherited by the job. */
  readonly stdin: number;
  /** Calls back if the feeder dies without having fed everything. */
  readonly onDied: (listener: () => void) => void;
  /** Lets go of the pipe. */
  close(): void;
}

/** Beside this file, as source or as built. */
const programPath = (name: string): string =>
  fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
const feederPath = programPath("feeder");
const pipeFeederPath = programPath("pipe-feeder");

/** @throws when the pipe cannot be made */
export function openFeed(directory: JobDirectory): Feed {
  writeJobFile(directory.file("stdin"), "");
  // Node cannot make a pipe and hand out both ends; a named one, unlinked once it is open, is the same thing.
  const path = join(directory.path, "stdin.pipe");
  makePipe(path);
  // Open for both: then neither of the next two waits for the other end.
  const both = openSync(path, constants.O_RDWR);
  const stdin = openSync(path, constants.O_RDONLY);
  const output = openSync(path, constants.O_WRONLY);
  unlinkSync(path);
  // The feeder is first: were we to die between the two, the job would read a false end of file.
  const feeder = startFeeder(feederPath, directory, output);
  closeSync(output);
  closeSync(both);
  return {
    stdin,
    onDied: (listener) => onDied(feeder, listener),
    close: () => closeSync(stdin),
  };
}

/**
 * The same for a job in a session: the pipe stays, as `stdin`, until the session's shell opens it (pipe-feeder.ts).
 * @throws when it cannot be made
 */
export function openPipeFeed(directory: JobDirectory): Pick<Feed, "onDied"> {
  writeJobFile(directory.file("stdin.spool"), "");
  makePipe(directory.file("stdin"));
  const feeder = startFeeder(pipeFeederPath, directory, "ignore");
  return { onDied: (listener) => onDied(feeder, listener) };
}

/** @throws when it cannot be made */
export function makePipe(path: string): void {
  const made = spawnSync("mkfifo", ["-m", "600", path], { encoding: "utf8" });
  if (made.status !== 0) throw made.error ?? new Error(`mkfifo: ${made.stderr.trim()}`);
}

function startFeeder(program: string, directory: JobDirectory, output: number | "ignore"): ChildProcess {
  const feeder = spawn(process.execPath, [program, directory.path], {
    cwd: "/",
    env: {},
    stdio: ["ignore", output, "ignore"],
    detached: true,
  });
  feeder.unref();
  return feeder;
}

function onDied(feeder: ChildProcess, listener: () => void): void {
  feeder.once("error", listener);
  feeder.once("exit", (code) => {
    if (code !== 0) listener();
  });
}
