/** Starts the shell of a session: its start-up files, its recording, its terminal. */
import { randomBytes } from "node:crypto";
import { Recording } from "./recording.ts";
import { RunningShell, type RunningShellEvents } from "./running-shell.ts";
import type { ShellStart } from "./environment.ts";
import type { SessionContext } from "./session-context.ts";
import type { SessionRecord } from "./session-directory.ts";
import { prepareShell } from "./shell/index.ts";

/** Letters and digits that no program in the session can guess. */
const nonceBytes = 16;

/** @throws OutpostError `start_failed`; errors of the file system */
export function startShell(
  context: SessionContext,
  { spec }: SessionRecord,
  start: ShellStart,
  events: RunningShellEvents,
): RunningShell {
  const { directory, settings, platform, clock, log, hostName } = context;
  const { env, shell, cwd } = start;
  const nonce = randomBytes(nonceBytes).toString("hex");
  const { onExit } = spec;
  const prepared = prepareShell({ directory: directory.shell, shell, nonce, hostName, env, onExit });
  const recording = spec.record ? beginRecording(context, spec, start) : undefined;
  const { scrollbackLines } = settings;
  try {
    return new RunningShell({
      prepared,
      spec,
      cwd,
      nonce,
      scrollbackLines,
      recording,
      platform,
      clock,
      log,
      events,
    });
  } catch (error) {
    recording?.close();
    throw error;
  }
}

function beginRecording(
  { directory, settings, clock }: SessionContext,
  { columns, rows, name }: SessionRecord["spec"],
  { shell, env }: ShellStart,
): Recording {
  return new Recording({
    path: directory.recording,
    columns,
    rows,
    shell,
    term: env["TERM"]!,
    title: name,
    clock,
    maxBytes: settings.maxRecordingBytes,
  });
}
