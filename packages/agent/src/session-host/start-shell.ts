/** Starts the shell of a session: its start-up files, its recording, its terminal. */
import { randomBytes } from "node:crypto";
import { agentPaths } from "../directory.ts";
import { HandedDirectory } from "../handed-directory.ts";
import { shellExecution } from "./execution.ts";
import { Recording } from "./recording.ts";
import { RunningShell, type RunningShellEvents } from "./running-shell.ts";
import type { ShellStart } from "./environment.ts";
import type { SessionContext } from "./session-context.ts";
import type { SessionRecord } from "./session-directory.ts";
import { type PreparedShell, prepareShell } from "./shell/index.ts";

/** Letters and digits that no program in the session can guess. */
const nonceBytes = 16;

/** @throws OutpostError `start_failed`; errors of the file system */
export function startShell(
  context: SessionContext,
  { spec, session }: SessionRecord,
  start: ShellStart,
  events: RunningShellEvents,
): RunningShell {
  const { settings, platform, clock, log, agentDirectory } = context;
  const nonce = randomBytes(nonceBytes).toString("hex");
  const owner = start.runAs?.account;
  const handed =
    owner === undefined
      ? undefined
      : new HandedDirectory(agentPaths(agentDirectory).handed, "sessions", session, owner);
  const prepared = prepare(context, spec, start, nonce, handed);
  const recording = spec.record ? beginRecording(context, spec, start) : undefined;
  const { scrollbackLines } = settings;
  try {
    return new RunningShell({
      execution: shellExecution(start, prepared, session, handed),
      integration: prepared.integration,
      owner,
      spec,
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

function prepare(
  { directory, hostName }: SessionContext,
  { onExit }: SessionRecord["spec"],
  { shell, args, env }: ShellStart,
  nonce: string,
  handed: HandedDirectory | undefined,
): PreparedShell {
  // What runs in place of a shell takes no commands of ours, whatever it is called.
  if (args !== undefined) return { file: shell, argv: [...args], env, integration: "none" };
  return prepareShell({
    directory: handed?.path ?? directory.shell,
    write: handed === undefined ? undefined : (name, text) => void handed.write(name, text),
    shell,
    nonce,
    hostName,
    env,
    onExit,
  });
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
