/**
 * Makes the files of a job that runs in a session's shell, before the session is asked for it. In the order of
 * launcher.ts: as long as `exit` is not there, it is certain that nothing runs.
 *
 *     directory ─ spec.json ─ script, command, stdin, stdout, stderr ─ exit ─ session.run ─ process.json
 *     └── certain that nothing runs ─────────────────────────────────┘      └── the session knows
 */
import { closeSync, openSync, writeFileSync } from "node:fs";
import type { JobSpec } from "@outpost/protocol";
import { sessionCommandText } from "../session-host/shell/command-text.ts";
import { openPipeFeed } from "./feed.ts";
import type { JobDirectory } from "./job-directory.ts";
import { writeScript } from "./launcher.ts";
import { emptyExitRecord } from "./wrapper.ts";

const fileMode = 0o600;

export interface Prepared {
  readonly files: { readonly stdout: number; readonly stderr: number };
  /** Calls back when what feeds a streamed input has died before its time. */
  readonly onFeederDied: (listener: () => void) => void;
}

/** @throws errors of the file system: nothing ran */
export function prepareInSession(directory: JobDirectory, spec: JobSpec): Prepared {
  const { command, input } = spec;
  const opened: number[] = [];
  const open = (name: "stdout" | "stderr"): number => {
    const file = openSync(directory.file(name), "a+", fileMode);
    opened.push(file);
    return file;
  };
  try {
    const script = command.kind === "script" ? writeScript(directory, command) : undefined;
    writeFileSync(directory.file("command"), sessionCommandText(command, script), { mode: fileMode });
    if (input.kind === "inline") writeFileSync(directory.file("stdin"), input.bytes, { mode: fileMode });
    const files = { stdout: open("stdout"), stderr: open("stderr") };
    const onFeederDied = input.kind === "stream" ? openPipeFeed(directory).onDied : () => {};
    // The last one.
    writeFileSync(directory.file("exit"), emptyExitRecord, { mode: fileMode });
    return { files, onFeederDied };
  } catch (error) {
    for (const file of opened) closeSync(file);
    throw error;
  }
}
