/**
 * A pipe to a job's standard input, filled by a process of its own (feeder.ts) from the spool: `feeder | wrapper`.
 * Neither end is ours, so neither the job nor its input notices when the agent dies.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JobDirectory } from "./job-directory.ts";

export interface Feed {
  /** The reading end, to be inherited by the job. */
  readonly stdin: number;
  /** Calls back if the feeder dies without having fed everything. */
  readonly onDied: (listener: () => void) => void;
  /** Lets go of the pipe. */
  close(): void;
}

/** Beside this file, as source or as built. */
const feederPath = fileURLToPath(new URL(`./feeder${extname(import.meta.url)}`, import.meta.url));

/** @throws when the pipe cannot be made */
export function openFeed(directory: JobDirectory): Feed {
  writeFileSync(directory.file("stdin"), "", { mode: 0o600 });
  // Node cannot make a pipe and hand out both ends; a named one, unlinked once it is open, is the same thing.
  const path = join(directory.path, "stdin.pipe");
  const made = spawnSync("mkfifo", ["-m", "600", path], { encoding: "utf8" });
  if (made.status !== 0) throw made.error ?? new Error(`mkfifo: ${made.stderr.trim()}`);
  // Open for both: then neither of the next two waits for the other end.
  const both = openSync(path, constants.O_RDWR);
  const stdin = openSync(path, constants.O_RDONLY);
  const output = openSync(path, constants.O_WRONLY);
  unlinkSync(path);
  // The feeder is first: were we to die between the two, the job would read a false end of file.
  const feeder = spawn(process.execPath, [feederPath, directory.path], {
    cwd: "/",
    env: {},
    stdio: ["ignore", output, "ignore"],
    detached: true,
  });
  feeder.unref();
  closeSync(output);
  closeSync(both);
  return {
    stdin,
    onDied: (listener) => {
      feeder.once("error", listener);
      feeder.once("exit", (code) => {
        if (code !== 0) listener();
      });
    },
    close: () => closeSync(stdin),
  };
}
