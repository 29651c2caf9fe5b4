/**
 * Starts the session host of an agent directory: a process that owns the shells, and that neither the agent's end nor a
 * signal to the agent's process group reaches.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, truncateSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, ErrorCode, type MessageSocket, OutpostError } from "@outpost/protocol";
import { dialUnixSocket } from "@outpost/protocol/unix-socket";
import type { AgentPaths } from "../directory.ts";
import { baseEnvironment } from "../jobs/environment.ts";
import { lockHolder, type Processes } from "../lock.ts";
import { pause } from "../pause.ts";
import { makePrivateDirectory } from "../private-directory.ts";

/** How long it may take to listen, in milliseconds: it loads and settles what a dead one has left. */
const startTimeoutMs = 10_000;
/** How long to wait between two looks, in milliseconds. */
const lookEveryMs = 10;
/** How much of its log an error quotes. */
const quotedLines = 5;
const quotedBytes = 4 * 1024;
/** Above this size the log begins anew with the next start, in bytes. */
const maxLogBytes = 1024 * 1024;

export interface SessionHostProcessOptions {
  readonly paths: AgentPaths;
  readonly clock: Clock;
  readonly processes: Processes;
  /** The program to run, with the agent directory as its argument. Default: `session-host/main`, as source or as built. */
  readonly entry?: string;
}

/** Beside this folder. */
const defaultEntry = fileURLToPath(
  new URL(`../session-host/main${extname(import.meta.url)}`, import.meta.url),
);

/** Whether the directory of sessions holds any: what a session host would have to say. */
export function holdsSessions({ sessions }: AgentPaths): boolean {
  try {
    return readdirSync(sessions).length > 0;
  } catch {
    return false; // not there: none was ever opened
  }
}

/**
 * Connects to the session host that runs, or starts one and connects to that.
 * @throws OutpostError `start_failed` with the end of its log, when it does not come; `denied` when its socket is
 * somebody else's; the signal's reason
 */
export async function dialSessionHost(
  options: SessionHostProcessOptions,
  signal?: AbortSignal,
): Promise<MessageSocket> {
  const { paths } = options;
  makePrivateDirectory(paths.run);
  if (paths.sockets !== paths.run) makePrivateDirectory(paths.sockets);
  return (await dial(paths, signal)) ?? (await start(options, signal));
}

/** `undefined` when nobody listens. */
async function dial(
  { sessionHostSocket }: AgentPaths,
  signal?: AbortSignal,
): Promise<MessageSocket | undefined> {
  try {
    return await dialUnixSocket(sessionHostSocket, signal);
  } catch (error) {
    if (error instanceof OutpostError && error.code === ErrorCode.disconnected) return undefined;
    throw error;
  }
}

/** One that holds the lock and does not listen is about to, or is leaving: then the next one starts once it has left. */
async function start(options: SessionHostProcessOptions, signal?: AbortSignal): Promise<MessageSocket> {
  const { paths, clock, processes } = options;
  const log = openSync(paths.sessionHostLog, "a+", 0o600);
  try {
    if (fstatSync(log).size > maxLogBytes) truncateSync(paths.sessionHostLog);
    const logStart = fstatSync(log).size;
    const deadlineMs = clock.monotonicMs() + startTimeoutMs;
    let ended: (() => string | undefined) | undefined;
    for (;;) {
      if (ended === undefined && lockHolder(paths.sessionHostLock, processes) === undefined)
        ended = watchEnd(launch(options, log));
      // First whether it has ended: then the look after it is the last.
      const end = ended?.();
      const socket = await dial(paths, signal);
      if (socket !== undefined) return socket;
      const isLate = clock.monotonicMs() >= deadlineMs;
      if (end !== undefined || isLate) throw failed(end ?? "it does not listen", log, logStart, paths);
      await pause(clock, lookEveryMs, signal);
      if (signal?.aborted === true) throw OutpostError.from(signal.reason);
    }
  } finally {
    closeSync(log);
  }
}

function launch({ paths, entry = defaultEntry }: SessionHostProcessOptions, log: number): ChildProcess {
  mkdirSync(paths.sessions, { recursive: true, mode: 0o700 });
  const child = spawn(process.execPath, [...process.execArgv, entry, paths.directory], {
    cwd: "/",
    // Never the agent's own: a session must not depend on how the agent was started.
    env: baseEnvironment(),
    stdio: ["ignore", log, log],
    detached: true,
  });
  // It outlives us, and must not keep us.
  child.unref();
  return child;
}

/** Says how the process has ended, once it has. */
function watchEnd(child: ChildProcess): () => string | undefined {
  let end: string | undefined;
  child.once("error", (error) => (end = error.message));
  child.once(
    "exit",
    (code, name) => (end = name === null ? `it ended with ${String(code)}` : `${name} ended it`),
  );
  return () => end;
}

function failed(why: string, log: number, logStart: number, paths: AgentPaths): OutpostError {
  const said = lastLines(log, logStart);
  return new OutpostError(
    ErrorCode.startFailed,
    `the session host of this host could not be started: ${why}. ` +
      (said === ""
        ? `It has said nothing (${paths.sessionHostLog})`
        : `It says (${paths.sessionHostLog}): ${said}`),
  );
}

/** What was written since `from`, the last of it. */
function lastLines(log: number, from: number): string {
  const { size } = fstatSync(log);
  const begin = Math.max(from, size - quotedBytes);
  const content = Buffer.alloc(Math.max(0, size - begin));
  const length = readSync(log, content, 0, content.length, begin);
  return content.toString("utf8", 0, length).trimEnd().split("\n").slice(-quotedLines).join("\n");
}
