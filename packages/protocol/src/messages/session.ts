/** Sessions: live shells on hosts, with state. How one is opened, stands, is attached to, read, disconnected and removed. */
import * as v from "valibot";
import { WireError } from "../errors.ts";
import { ConfigurationName, HostName, JobId, SessionId, SessionName, UserName, ViewerId } from "../ids.ts";
import * as limits from "../limits.ts";
import { Authorization } from "./authorization.ts";
import { Argument, EnvironmentVariables, Exit } from "./job.ts";
import { Bytes, DurationMs, Offset, StreamNumber, Time } from "./stream.ts";

// ---------------------------------------------------------------------------------------------- how it stands

/**
 * The state of a session on its host.
 *
 *     opening ──▶ opened ◀──▶ disconnected     somebody is connected: a viewer, or a command · nobody is
 *        │          ├─────────────┤
 *        │          ▼             ▼
 *        └───────▶ closed                       its shell ended, it was removed, or its idle time ran out
 *                  broken                       its shell is gone and nobody saw how: host rebooted, session host died
 *
 * `opening`, `opened` and `disconnected` may become `closed` or `broken`; those two are the end.
 */
export const SessionState = v.picklist(["opening", "opened", "disconnected", "closed", "broken"]);
export type SessionState = v.InferOutput<typeof SessionState>;

/** Whether the shell waits for a command (`available`), runs one (`busy`), or is not there to say (`none`). */
export const Availability = v.picklist(["available", "busy", "none"]);
export type Availability = v.InferOutput<typeof Availability>;

/** What happens to output that nobody has received once it is more than the host keeps in the way of a buffer.
 * `spill`: it goes to disk, and only beyond the host's limit the oldest is dropped. `block`: the shell waits, as soon as
 * nobody is connected. `drop-oldest`: a short buffer. Whatever is dropped is an announced gap. */
export const Buffering = v.picklist(["spill", "block", "drop-oldest"]);
export type Buffering = v.InferOutput<typeof Buffering>;

/** What a viewer may do: type and set the size (`control`, one at a time), or look (`watch`). */
export const ViewerRole = v.picklist(["control", "watch"]);
export type ViewerRole = v.InferOutput<typeof ViewerRole>;

/** How the shell is known: `invoke --session` needs one of the first three; `none` is a shell that is only entered. */
export const ShellIntegration = v.picklist(["bash", "zsh", "sh", "none"]);
export type ShellIntegration = v.InferOutput<typeof ShellIntegration>;

/** Characters in a line, lines on a screen. */
export const Columns = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(limits.maxColumns));
export const Rows = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(limits.maxRows));

/** Somebody who is attached. */
export type Viewer = v.InferOutput<typeof Viewer>;
export const Viewer = v.object({ viewer: ViewerId, operator: v.string(), role: ViewerRole, since: Time });

/** Why a session ended. */
export const SessionEndCode = v.picklist([
  /** Its shell exited; `exit` says how. State `closed`. */
  "exited",
  /** An operator removed it; `by` says who. State `closed`. */
  "removed",
  /** It was disconnected and idle for its idle time. State `closed`. */
  "idle_timeout",
  /** It had lasted as long as its configuration lets sessions last. State `closed`. */
  "time_limit",
  /** The shell could not be started. State `closed`. */
  "start_failed",
  /** The host was restarted. State `broken`. */
  "host_rebooted",
  /** The session host process died. State `broken`. */
  "session_host_died",
  /** The host no longer knows it: its sessions' directory was emptied or replaced. State `broken`. */
  "forgotten",
]);
export type SessionEndCode = v.InferOutput<typeof SessionEndCode>;

export type SessionEnd = v.InferOutput<typeof SessionEnd>;
export const SessionEnd = v.object({
  code: SessionEndCode,
  /** A sentence for people. */
  message: v.string(),
  by: v.optional(v.string()),
});

/** A session as its host knows it. */
export type SessionStatus = v.InferOutput<typeof SessionStatus>;
export const SessionStatus = v.object({
  session: SessionId,
  name: v.optional(SessionName),
  /** Who opened it. */
  operator: v.string(),
  state: SessionState,
  availability: Availability,
  /** Absolute path of the shell. */
  shell: v.string(),
  integration: ShellIntegration,
  /** The configuration that it was opened under; absent: `default`. */
  configuration: v.optional(ConfigurationName),
  /** The user that its shell runs as; absent: the agent's. */
  user: v.optional(UserName),
  createdAt: Time,
  /** When it last did anything: output, or the end of a command. */
  activeAt: Time,
  /** Since when nobody is connected. */
  disconnectedAt: v.optional(Time),
  /** When it will be closed if nothing happens; absent while somebody is connected or a command runs. */
  expiresAt: v.optional(Time),
  idleTimeoutMs: DurationMs,
  buffering: Buffering,
  /** Forgotten as soon as it has ended and its controlling viewer has seen the end. */
  temporary: v.boolean(),
  /** A recording is kept (asciicast v2). */
  recorded: v.boolean(),
  columns: Columns,
  rows: Rows,
  /** What runs in the foreground, for people; absent when the shell waits or it is not known. */
  command: v.optional(v.string()),
  viewers: v.array(Viewer),
  /** Commands of `invoke --session` that run or wait here. */
  runs: v.array(JobId),
  /** Terminal output: bytes in all, and those of them that nobody has seen. */
  output: v.object({ written: Offset, unread: Offset }),
  endedAt: v.optional(Time),
  exit: v.optional(Exit),
  reason: v.optional(SessionEnd),
});

// ---------------------------------------------------------------------------------------------- opening

/** What is wanted of a session; one for all hosts of a request. */
export type SessionSpec = v.InferOutput<typeof SessionSpec>;
export const SessionSpec = v.object({
  /** For people. Of the live sessions of a host no two have one name. */
  name: v.optional(SessionName),
  /** A path or a name on the PATH. Default: the user's login shell. */
  shell: v.optional(v.pipe(Argument, v.minLength(1))),
  /** Added to the session's environment, over what the host gives. */
  env: EnvironmentVariables,
  /** Working directory to begin in, absolute. Default: the user's home. */
  cwd: v.optional(v.pipe(Argument, v.startsWith("/", "is not an absolute path"))),
  columns: Columns,
  rows: Rows,
  /** `TERM`. Default `xterm-256color`. */
  term: v.optional(v.pipe(Argument, v.regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "is not a terminal type"))),
  /** How long it may be disconnected and idle before it is closed. Default and maximum: the host's settings. */
  idleTimeoutMs: v.optional(v.pipe(DurationMs, v.minValue(1))),
  /** Default `spill`. */
  buffering: v.optional(Buffering),
  /** Keep a recording. */
  record: v.boolean(),
  temporary: v.boolean(),
  /** The configuration of the host that it is opened under. Default `default`. */
  configuration: v.optional(ConfigurationName),
  /** The user that its shell runs as. Default: the configuration's. */
  user: v.optional(UserName),
  /** What `exit` at the prompt does: `end` the shell and with it the session, or `leave` the session as it is. */
  onExit: v.picklist(["end", "leave"]),
});

/** Opening the same id twice opens one session. */
export const SessionOpenParams = v.object({
  session: SessionId,
  spec: SessionSpec,
  /** The operator who asked, by name. */
  operator: v.string(),
  authorization: v.optional(Authorization),
});
export type SessionOpenParams = v.InferOutput<typeof SessionOpenParams>;
/** Answered when the shell has shown its first prompt, or has ended, or `limits.shellStartMs` have passed. */
export const SessionOpenResult = v.object({ status: SessionStatus });

export const SessionListResult = v.object({ sessions: v.array(SessionStatus) });

// ---------------------------------------------------------------------------------------------- attaching

/**
 * Shows the terminal and takes keystrokes, until the viewer leaves (cancels), is sent away, or the session ends.
 * A viewer that was cut attaches again with the same `viewer`, and both directions go on from their offsets.
 */
export type SessionAttachParams = v.InferOutput<typeof SessionAttachParams>;
export const SessionAttachParams = v.object({
  session: SessionId,
  /** Made by the caller, one for each terminal; the same after a cut. */
  viewer: ViewerId,
  operator: v.string(),
  role: ViewerRole,
  /** True: whoever controls now watches from here on. False: `busy` when another viewer controls. */
  takeOver: v.boolean(),
  columns: Columns,
  rows: Rows,
  /** Where the output begins. Default: at what is the end now; `repaint` gives what came before. */
  from: v.optional(Offset),
  /** True: `attach.repaint` comes once the viewer has what was there when it attached. */
  repaint: v.boolean(),
  /** How many bytes a viewer that reads slowly may be behind before what lies between is left out (`attach.gap` with
   * `lagging`, then `attach.repaint`). Default: as far as the host keeps output. */
  maxLag: v.optional(v.pipe(Offset, v.minValue(limits.minWindowBytes))),
  /** How many bytes of output may be sent before the first credit. */
  window: v.pipe(Offset, v.minValue(limits.minWindowBytes), v.maxValue(limits.maxWindowBytes)),
  /** The caller's stream that carries the keystrokes. Nothing is sent on it before `input.ready`. */
  input: StreamNumber,
  authorization: v.optional(Authorization),
});

/** The output's stream, numbered by the side that answers; its first chunk comes at `offset`. */
export type AttachOpened = v.InferOutput<typeof AttachOpened>;
export const AttachOpened = v.object({
  stream: StreamNumber,
  offset: Offset,
  role: ViewerRole,
  status: SessionStatus,
});

/** Why terminal output is missing. */
export const SessionGapReason = v.picklist([
  /** The viewer was further behind than it wanted to be; a repaint follows. */
  "lagging",
  /** The host keeps no more than this (its limit, or `drop-oldest`). */
  "dropped",
  /** Somebody has seen it already (`session.read`). */
  "received",
]);
export type SessionGapReason = v.InferOutput<typeof SessionGapReason>;
export type SessionGap = v.InferOutput<typeof SessionGap>;
export const SessionGap = v.object({ from: Offset, to: Offset, reason: SessionGapReason });

/** Bytes `gap.from` to `gap.to` do not come; the stream goes on at `gap.to`. */
export const AttachGap = v.object({ gap: SessionGap });

/** Written to a terminal of `columns` × `rows`, cleared, `bytes` show the screen as it was at `offset`; the stream goes on from there. */
export type AttachRepaint = v.InferOutput<typeof AttachRepaint>;
export const AttachRepaint = v.object({
  offset: Offset,
  columns: Columns,
  rows: Rows,
  bytes: Bytes(limits.maxRepaintBytes),
});

/** The viewer's role or the terminal's size is another. `by`: the operator who took over. */
export type AttachChanged = v.InferOutput<typeof AttachChanged>;
export const AttachChanged = v.object({
  role: ViewerRole,
  columns: Columns,
  rows: Rows,
  by: v.optional(v.string()),
});

/** Comes after the end of the output's stream. `ended`: the session has. `disconnected`: an operator (`by`) sent the
 * viewers away. `left`: `exit` was typed in a session whose `onExit` is `leave`. */
export const SessionAttachResult = v.object({
  reason: v.picklist(["ended", "disconnected", "left"]),
  by: v.optional(v.string()),
  status: SessionStatus,
});
export type SessionAttachResult = v.InferOutput<typeof SessionAttachResult>;

/** Takes effect when the viewer controls; kept for when it takes over. */
export const SessionResizeParams = v.object({
  session: SessionId,
  viewer: ViewerId,
  columns: Columns,
  rows: Rows,
});
export type SessionResizeParams = v.InferOutput<typeof SessionResizeParams>;

/** An attached viewer takes over, or only watches from here on. */
export const SessionRoleParams = v.object({
  session: SessionId,
  viewer: ViewerId,
  role: ViewerRole,
  authorization: v.optional(Authorization),
});
export type SessionRoleParams = v.InferOutput<typeof SessionRoleParams>;

/** Somebody has these bytes of the output safe: on a screen, or in a file. The host may forget them. */
export const SessionAcknowledgeParams = v.object({ session: SessionId, from: Offset, to: Offset });
export type SessionAcknowledgeParams = v.InferOutput<typeof SessionAcknowledgeParams>;

// ---------------------------------------------------------------------------------------------- reading

export const SessionReadParams = v.object({
  session: SessionId,
  what: v.picklist(["output", "recording"]),
  /** Default: the first byte of `output` that nobody has seen; of a recording, its first. */
  from: v.optional(Offset),
  /** True: what was seen already comes, too, as far as it is still there. False: gaps with reason `received`. */
  seen: v.boolean(),
  /** True: go on until the session has ended. */
  follow: v.boolean(),
  window: v.pipe(Offset, v.minValue(limits.minWindowBytes), v.maxValue(limits.maxWindowBytes)),
  authorization: v.optional(Authorization),
});
export type SessionReadParams = v.InferOutput<typeof SessionReadParams>;
export const SessionReadOpened = v.object({ stream: StreamNumber, offset: Offset });
export type SessionReadOpened = v.InferOutput<typeof SessionReadOpened>;
export const SessionReadGap = v.object({ gap: SessionGap });
export type SessionReadGap = v.InferOutput<typeof SessionReadGap>;
export const SessionReadResult = v.object({ status: SessionStatus });

// ---------------------------------------------------------------------------------------------- leaving, ending

/** Sends every viewer away. What runs goes on. */
export const SessionDisconnectParams = v.object({
  session: SessionId,
  operator: v.string(),
  /** From now on; default: as it was. */
  idleTimeoutMs: v.optional(v.pipe(DurationMs, v.minValue(1))),
  buffering: v.optional(Buffering),
  authorization: v.optional(Authorization),
});
export type SessionDisconnectParams = v.InferOutput<typeof SessionDisconnectParams>;
export const SessionStatusResult = v.object({ status: SessionStatus });

/** Ends the shell and what runs in it, and forgets output and recording. Removing one that is not there succeeds. */
export const SessionRemoveParams = v.object({
  session: SessionId,
  operator: v.string(),
  authorization: v.optional(Authorization),
});
export type SessionRemoveParams = v.InferOutput<typeof SessionRemoveParams>;

// ---------------------------------------------------------------------------------------------- agent → session host

/** Runs a job's command in the session's shell, after those that were asked before. Asked again with the same job, it is
 * the same run. Output goes to the files of `directory`, the end to its `exit`. */
export const SessionRunParams = v.object({
  session: SessionId,
  job: JobId,
  /** The job's directory, absolute. */
  directory: v.string(),
  operator: v.string(),
  /** What `busy` is when the session runs something else: wait for its end, or fail with `busy`. */
  busy: v.picklist(["wait", "fail"]),
});
export type SessionRunParams = v.InferOutput<typeof SessionRunParams>;
/** The command was given to the shell, which is this process. */
export const RunStarted = v.object({ pid: v.number(), startTime: v.string() });
export type RunStarted = v.InferOutput<typeof RunStarted>;
/** Answered when the run has ended: the exit record is in the job's directory. `never`: the session ended first, or it was stopped while it waited. */
export const SessionRunResult = v.object({
  outcome: v.picklist(["ended", "never"]),
  message: v.optional(v.string()),
});
export type SessionRunResult = v.InferOutput<typeof SessionRunResult>;

/** Interrupts a run as a person would, or kills what runs in the foreground; never the shell itself. One that waits is taken out. */
export const SessionStopRunParams = v.object({
  session: SessionId,
  job: JobId,
  signal: v.picklist(["SIGINT", "SIGTERM", "SIGKILL"]),
});
export type SessionStopRunParams = v.InferOutput<typeof SessionStopRunParams>;

// ---------------------------------------------------------------------------------- agent → controller

/** All sessions that the host holds, after `inventory`. */
export const SessionInventoryParams = v.object({ sessions: v.array(SessionStatus) });
export const SessionChanged = v.object({ status: SessionStatus });
/** A session is forgotten: removed, or ended and seen. */
export const SessionGone = v.object({ session: SessionId });

// ---------------------------------------------------------------------------------- operator ↔ controller

/** The controller's view of a session on one host. One id may name sessions on several hosts: those that were opened together. */
export type SessionInfo = v.InferOutput<typeof SessionInfo>;
export const SessionInfo = v.object({
  host: HostName,
  status: SessionStatus,
  /** Since when the host cannot be reached; the status is then the last one known. */
  unreachableSince: v.optional(Time),
});

export const SessionsOpenParams = v.object({
  session: SessionId,
  /** A target expression. */
  targets: v.pipe(v.string(), v.minLength(1), v.maxLength(limits.maxExpressionLength)),
  spec: SessionSpec,
  authorization: v.optional(Authorization),
});
export type SessionsOpenParams = v.InferOutput<typeof SessionsOpenParams>;

/** What became of a request on each of its hosts. */
export type SessionOutcome = v.InferOutput<typeof SessionOutcome>;
export const SessionOutcome = v.object({
  host: HostName,
  info: v.optional(SessionInfo),
  /** Why it failed there. */
  error: v.optional(WireError),
});
export const SessionsOutcome = v.object({ hosts: v.array(SessionOutcome) });

/** An id, the beginning of one, or a name. */
export const SessionReference = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

/** A session on one of its hosts. */
const SessionPlace = v.object({ host: HostName, session: SessionId });

export const SessionsListParams = v.object({
  /** A target expression; default all hosts. */
  targets: v.optional(v.string()),
  /** Only the sessions of this reference. `not_found` when there is none. */
  session: v.optional(SessionReference),
  states: v.optional(v.array(SessionState)),
  /** At most so many, by host (`web9` before `web10`) and id. Default all of them, the newest first. Since version 3. */
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
  /** With `limit`: only those behind this one, which need not be there any more. */
  after: v.optional(SessionPlace),
});
export type SessionsListParams = v.InferOutput<typeof SessionsListParams>;
/** `next`: there are others; they are to be asked for with it as `after`. A page may be empty although there are. */
export const SessionsListResult = v.object({
  sessions: v.array(SessionInfo),
  next: v.optional(SessionPlace),
});
export type SessionsListResult = v.InferOutput<typeof SessionsListResult>;

/** Of the session's hosts, these; default all. */
const SomeHosts = { hosts: v.optional(v.array(HostName)) };
const { operator: _attaching, ...attach } = SessionAttachParams.entries;
export const SessionsAttachParams = v.object({ host: HostName, ...attach });
export type SessionsAttachParams = v.InferOutput<typeof SessionsAttachParams>;
/** The host cannot be reached, since then; the attach waits for it. */
export const AttachWaiting = v.object({ since: Time });
export const SessionsResizeParams = v.object({ host: HostName, ...SessionResizeParams.entries });
export const SessionsRoleParams = v.object({ host: HostName, ...SessionRoleParams.entries });
export const SessionsAcknowledgeParams = v.object({ host: HostName, ...SessionAcknowledgeParams.entries });
export const SessionsReadParams = v.object({ host: HostName, ...SessionReadParams.entries });
export type SessionsReadParams = v.InferOutput<typeof SessionsReadParams>;
const { operator: _disconnecting, ...disconnect } = SessionDisconnectParams.entries;
export const SessionsDisconnectParams = v.object({ ...disconnect, ...SomeHosts });
export type SessionsDisconnectParams = v.InferOutput<typeof SessionsDisconnectParams>;
export const SessionsRemoveParams = v.object({
  session: SessionId,
  ...SomeHosts,
  authorization: v.optional(Authorization),
});
export type SessionsRemoveParams = v.InferOutput<typeof SessionsRemoveParams>;
/** Waits until the session is available, or has ended, on all of the hosts. */
export const SessionsWaitParams = v.object({
  session: SessionId,
  ...SomeHosts,
  until: v.picklist(["available", "ended"]),
  /** How long at most, in milliseconds. Default no limit. */
  timeoutMs: v.optional(DurationMs),
});
export type SessionsWaitParams = v.InferOutput<typeof SessionsWaitParams>;
/** `reached` is false when the time ran out, or a session ended that should have become available. */
export const SessionsWaitResult = v.object({ reached: v.boolean(), sessions: v.array(SessionInfo) });
