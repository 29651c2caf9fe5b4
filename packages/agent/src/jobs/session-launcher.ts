/**
 * Makes the files of a job that runs in a session's shell, before the session is asked for it. In the order of
 * launcher.ts: as long as `exit` is not there, it is certain that nothing runs.
 *
 *     directory ─ spec.json ─ script, command, stdin, stdout, stderr ─ exit ─ session.run ─ process.json
 *     └── certain that nothing runs ─────────────────────────────────┘      └── the session knows
 */
import { closeSync, linkSync } from "node:fs";
import type { JobSpec } from "@outpost/protocol";
import type { HandedDirectory } from "../handed-directory.ts";
import { sessionCommandText } from "../session-host/shell/command-text.ts";
import { openPipeFeed } from "./feed.ts";
import type { JobDirectory } from "./job-directory.ts";
import { openJobFile, writeJobFile } from "./job-file.ts";
import { handScript, writeScript } from "./launcher.ts";
import { emptyExitRecord } from "./wrapper.ts";

export interface Prepared {
  readonly files: { readonly stdout: number; readonly stderr: number };
  /** Calls back when what feeds a streamed input has died before its time. */
  readonly onFeederDied: (listener: () => void) => void;
}

/**
 * @param handed where a shell that is another user's finds the files
 * @throws errors of the file system: nothing ran
 */
export function prepareInSession(
  directory: JobDirectory,
  spec: JobSpec,
  handed: HandedDirectory | undefined,
): Prepared {
  const { command, input } = spec;
  const opened: number[] = [];
  const open = (name: "stdout" | "stderr"): number => {
    const file = openJobFile(directory.file(name), "a+");
    opened.push(file);
    return file;
  };
  try {
    const script = command.kind === "script" ? scriptFor(directory, command, handed) : undefined;
    writeJobFile(directory.file("command"), sessionCommandText(command, script));
    if (input.kind === "inline") writeJobFile(directory.file("stdin"), input.bytes);
    const files = { stdout: open("stdout"), stderr: open("stderr") };
    const onFeederDied = input.kind === "stream" ? openPipeFeed(directory).onDied : () => {};
    if (handed !== undefined) handOver(directory, input, handed);
    // The last one.
    if (handed === undefined) writeJobFile(directory.file("exit"), emptyExitRecord);
    else linkSync(handed.write("exit", emptyExitRecord, 0o600), directory.file("exit"));
    return { files, onFeederDied };
  } catch (error) {
    for (const file of opened) closeSync(file);
    throw error;
  }
}

function scriptFor(
  directory: JobDirectory,
  command: Extract<JobSpec["command"], { kind: "script" }>,
  handed: HandedDirectory | undefined,
): string {
  return handed === undefined ? writeScript(directory, command) : handScript(handed, command);
}

/** Each is one file with two names: ours, by which the job's output is read, and the one that the shell can get to. */
function handOver(directory: JobDirectory, input: JobSpec["input"], handed: HandedDirectory): void {
  handed.link(directory.file("command"), "command");
  handed.link(directory.file("stdout"), "stdout");
  handed.link(directory.file("stderr"), "stderr");
  if (input.kind !== "none") handed.link(directory.file("stdin"), "stdin");
}
