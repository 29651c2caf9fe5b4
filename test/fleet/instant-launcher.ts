/**
 * Starts no process: writes into the job's files what the program would have written, and the exit record that the
 * wrapper would have. Everything else about the job is real: its directory, timeline, adoption, retention.
 */
import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Clock, ErrorCode, OutpostError } from "@outpost/protocol";
import type { JobDirectory } from "../../packages/agent/src/jobs/job-directory.ts";
import { openJobFile } from "../../packages/agent/src/jobs/job-file.ts";
import type { JobLauncher, Launched } from "../../packages/agent/src/jobs/launcher.ts";
import { emptyExitRecord } from "../../packages/agent/src/jobs/wrapper.ts";
import { emulate, type EmulatedRun } from "./emulated-program.ts";

/** No process has this number: the kernel's are below 2²². */
const nobody = 2 ** 22 + 1;
const pieceBytes = 256 * 1024;

export function instantLauncher(clock: Clock, hostName: string, bootId: string): JobLauncher {
  return {
    launch(directory, { spec }) {
      const run = emulate(spec.command, hostName);
      if (run.code === undefined) {
        const message = "an emulated host has no such program; see test/fleet/emulated-program.ts";
        return Promise.reject(new OutpostError(ErrorCode.startFailed, message));
      }
      const files = {
        stdout: openJobFile(directory.file("stdout"), "a+"),
        stderr: openJobFile(directory.file("stderr"), "a+"),
        exit: openJobFile(directory.file("exit"), "w+"),
      };
      writeSync(files.exit, emptyExitRecord, 0, emptyExitRecord.length, 0);
      const startedAt = clock.now();
      const process = { pid: nobody, startTime: "ended", bootId, startedAt, program: "" };
      directory.writeProcess(process);
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.after(run.afterMs, () => {
        write(directory, run);
        resolve();
      });
      const launched: Launched = {
        process,
        files,
        onExit: (listener) => void promise.then(listener),
        onFeederDied: () => {},
      };
      return Promise.resolve(launched);
    },
  };
}

/** With files of its own, as a process has: the agent may have closed its by now. */
function write(directory: JobDirectory, { stdout, code }: EmulatedRun): void {
  // It was killed meanwhile, or even forgotten.
  if (existsSync(join(directory.path, "stop.json")) || !existsSync(directory.file("exit"))) return;
  const output = openSync(directory.file("stdout"), "a");
  const exit = openSync(directory.file("exit"), "r+");
  try {
    for (let at = 0; at < stdout.size; at += pieceBytes) {
      writeSync(output, stdout.slice(at, Math.min(stdout.size, at + pieceBytes)));
    }
    writeSync(exit, `exit ${String(code)}\n`, 0);
  } finally {
    closeSync(output);
    closeSync(exit);
  }
}
