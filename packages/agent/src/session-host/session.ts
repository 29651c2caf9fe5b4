/**
 * One session, from its opening until it is forgotten: its state, its output and who has seen it, its viewers, and as
 * long as it lives its shell. What ends it, it decides itself: the shell's exit, an operator, or its idle time.
 *
 *     opening ──first prompt──▶ opened ◀──▶ disconnected ──▶ closed | broken ──seen, or too old──▶ forgotten
 */
import {
  ConfigurationName,
  ErrorCode,
  type Exit,
  type JobId,
  limits,
  OutpostError,
  type RunStarted,
  type SessionAcknowledgeParams,
  type SessionAttachParams,
  type SessionDisconnectParams,
  type SessionEnd,
  type SessionId,
  type SessionReadParams,
  type SessionRunParams,
  type SessionRunResult,
  type SessionStatus,
  UserName,
  type ViewerId,
} from "@outpost/protocol";
import * as v from "valibot";
import {
  type AdmittedSession,
  checkIdleTimeout,
  checkOperator,
  openConfiguration,
} from "../configurations/index.ts";
import { removeHanded } from "../handed-directory.ts";
import { agentPaths } from "../directory.ts";
import { TimeLimit } from "../jobs/time-limit.ts";
import { type Attached, Attachments, type OpenWire } from "./attachments.ts";
import { shellStart, type ShellStart } from "./environment.ts";
import { readOutput, readRecording, type ReadingSink } from "./reading.ts";
import { Presence } from "./presence.ts";
import type { RunningShell } from "./running-shell.ts";
import type { SessionContext } from "./session-context.ts";
import type { EndRecord, SessionRecord } from "./session-directory.ts";
import { SessionOutput } from "./session-output.ts";
import { brokenBy, exited, idledOut, lastedTooLong, removedBy } from "./session-status.ts";
import type { SessionSettings } from "./settings.ts";
import { startShell } from "./start-shell.ts";
import { endTerminal } from "./terminal-end.ts";
import { Timer } from "./timer.ts";
import type { Leaving, Viewer } from "./viewer.ts";
import type { Viewers } from "./viewers.ts";

/** How long after everything was seen a session that has ended can still be asked about, in milliseconds: a viewer that
 * was cut just then comes back for the end. */
const forgetDelayMs = 5_000;
/** How long a temporary session's end waits for somebody to see it, in milliseconds. */
const temporaryRetentionMs = 10 * 60 * 1000;

export class Session {
  readonly #context: SessionContext;
  readonly #record: SessionRecord;
  readonly #presence: Presence;
  readonly #output: SessionOutput;
  readonly #attachments: Attachments;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #openLate: Timer;
  readonly #forgetting: Timer;
  #shell: RunningShell | undefined;
  #timeLimit: TimeLimit | undefined;
  #buffering: SessionStatus["buffering"];
  /** Why it is being ended, before its shell has. */
  #ending: SessionEnd | undefined;
  #endSeen = false;
  #wasAvailable = false;
  #forgotten = false;

  private constructor(surroundings: SessionContext, record: SessionRecord) {
    const { clock } = surroundings;
    const { spec, limits: own = {} } = record;
    const settings = within(surroundings.settings, own.outputBytes);
    const context = { ...surroundings, settings };
    const { defaultIdleTimeoutMs } = settings;
    this.#context = context;
    this.#record = record;
    this.#presence = new Presence({
      clock,
      state: record.end?.state,
      activeAt: record.end?.activeAt ?? record.createdAt,
      idleTimeoutMs: spec.idleTimeoutMs ?? Math.min(defaultIdleTimeoutMs, own.idleMs ?? Infinity),
      isConnected: () => this.#viewers.size > 0 || this.#jobs.length > 0,
      isBusy: () => this.#availability === "busy",
      expired: () => this.#expire(),
    });
    this.#buffering = spec.buffering ?? "spill";
    this.#output = new SessionOutput({
      ...context,
      buffering: this.#buffering,
      neededFrom: () => this.#viewers.neededFrom,
    });
    this.#attachments = new Attachments({
      columns: spec.columns,
      rows: spec.rows,
      clock,
      output: this.#output,
      isLive: () => this.live,
      status: () => this.status(),
      snapshot: (scrollback) => this.#shell?.snapshot(scrollback),
      type: (bytes, taken) => this.#shell?.typed(bytes, taken),
      resize: (columns, rows) => {
        if (this.live) this.#shell?.resize(columns, rows);
      },
      changed: () => this.#refresh(),
      left: (viewer, leaving) => this.#viewerLeft(viewer, leaving),
    });
    this.#openLate = new Timer(clock);
    this.#forgetting = new Timer(clock);
  }

  /**
   * Starts the shell of a new session.
   * @throws OutpostError `start_failed` when there is no such shell or directory; then nothing is left of it
   */
  static open(
    context: SessionContext,
    params: Pick<SessionRecord, "session" | "spec" | "operator">,
    admitted: AdmittedSession,
  ): Session {
    const { hostName, agentDirectory, directory, clock, platform } = context;
    const start = shellStart({ ...params, admitted, hostName, agentDirectory });
    directory.create();
    try {
      const { session, spec, operator } = params;
      const record: SessionRecord = {
        session,
        spec,
        operator,
        createdAt: clock.now(),
        bootId: platform.bootId,
        shell: start.shell,
        integration: "none",
        ...termsOf(admitted),
      };
      const opening = new Session(context, record);
      opening.#start(start);
      return opening;
    } catch (error) {
      directory.remove();
      removeHanded(agentPaths(agentDirectory).handed, "sessions", params.session);
      throw OutpostError.from(error, ErrorCode.startFailed);
    }
  }

  /** Takes up a session that an earlier session host has left: it has ended, whether it says so or not. */
  static recall(context: SessionContext, record: SessionRecord): Session {
    const { directory, platform, clock, settings, log } = context;
    const { process: leader, bootId } = record;
    const rebooted = bootId !== platform.bootId;
    if (record.end === undefined) {
      const now = clock.now();
      record.end = { state: "broken", endedAt: now, activeAt: now, reason: brokenBy(rebooted) };
      directory.write(record);
      directory.removeShell();
      removeHanded(agentPaths(context.agentDirectory).handed, "sessions", record.session);
    }
    // Its terminal is gone, so the shell is, too; but what ignores SIGHUP may be left.
    if (!rebooted && leader !== undefined && record.end.state === "broken") {
      endTerminal({ platform, clock, leader, graceMs: settings.killGraceMs }).catch((error: unknown) =>
        log.error({ err: error, session: record.session }, "cannot end what a session has left"),
      );
    }
    const session = new Session(context, record);
    session.#opened.resolve();
    session.#ended.resolve();
    session.#considerForgetting();
    return session;
  }

  get id(): SessionId {
    return this.#record.session;
  }

  get name(): string | undefined {
    return this.#record.spec.name;
  }

  get configuration(): string {
    return this.#record.configuration ?? openConfiguration.name;
  }

  get live(): boolean {
    return this.#presence.live;
  }

  get endedAt(): number | undefined {
    return this.#record.end?.endedAt;
  }

  /** Resolves when the shell has shown its first prompt, or has ended, or has taken too long. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  status(): SessionStatus {
    const { session, operator, shell, integration, createdAt, spec, end, configuration, user } = this.#record;
    const { live } = this;
    const availability = live ? this.#availability : "none";
    const { state, activeAt, disconnectedAt, expiresAt, idleTimeoutMs } = this.#presence;
    const command = availability === "busy" ? this.#shell?.command : undefined;
    return {
      session,
      ...(spec.name === undefined ? {} : { name: spec.name }),
      operator,
      state,
      availability,
      shell,
      integration,
      ...(configuration === undefined ? {} : { configuration }),
      ...(user === undefined ? {} : { user }),
      createdAt,
      activeAt,
      ...(disconnectedAt === undefined ? {} : { disconnectedAt }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      idleTimeoutMs,
      buffering: this.#buffering,
      temporary: spec.temporary,
      recorded: spec.record,
      columns: this.#viewers.columns,
      rows: this.#viewers.rows,
      ...(command === undefined ? {} : { command }),
      viewers: this.#viewers.all.map(({ info }) => info),
      runs: [...this.#jobs],
      output: { written: this.#output.end, unread: this.#output.unread },
      ...(end === undefined ? {} : { endedAt: end.endedAt, reason: end.reason }),
      ...(end?.exit === undefined ? {} : { exit: end.exit }),
    };
  }

  /**
   * Shows the terminal to a viewer, from `start` on.
   * @throws OutpostError `busy` when another viewer controls; `conflict` when it has ended and the viewer has seen
   * nothing of it before; `invalid_argument` when it begins where no output is yet; `denied` to control it when its
   * configuration is not for that operator
   */
  attach(params: SessionAttachParams, openWire: OpenWire): Attached {
    if (params.role === "control") this.#checkOperator(params.operator);
    if (!this.live && params.from === undefined) throw this.#hasEnded();
    return this.#attachments.attach(params, openWire);
  }

  /** @throws OutpostError `not_found` when that viewer is not attached */
  resize(viewer: ViewerId, columns: number, rows: number): void {
    this.#viewers.resize(viewer, columns, rows);
  }

  /** @throws OutpostError `not_found` when that viewer is not attached; `denied` as `attach` */
  setRole(viewer: ViewerId, role: Viewer["role"]): void {
    const operator = this.#viewers.all.find(({ info }) => info.viewer === viewer)?.info.operator;
    if (role === "control" && operator !== undefined) this.#checkOperator(operator);
    this.#viewers.setRole(viewer, role);
  }

  acknowledge({ from, to }: SessionAcknowledgeParams): void {
    this.#output.acknowledge(from, to);
    this.#flow();
    this.#context.changed("soon");
    this.#considerForgetting();
  }

  /** Sends output or recording from an offset, at the reader's pace. @throws OutpostError `not_found` when there is no recording */
  async read(params: SessionReadParams, sink: ReadingSink, signal: AbortSignal): Promise<SessionStatus> {
    const isOver = (): boolean => !this.live;
    if (params.what === "output") {
      await readOutput(this.#output.source(isOver), params, sink, signal);
    } else {
      if (!this.#record.spec.record)
        throw new OutpostError(ErrorCode.notFound, "this session was opened without --record");
      const path = this.#context.directory.recording;
      const watch = (listener: () => void): (() => void) => this.#output.watch(listener);
      await readRecording({ path, isOver, watch }, params, sink, signal);
    }
    return this.status();
  }

  /** Sends every viewer away, and changes what is asked. @throws OutpostError `conflict` when it has ended; `limit_exceeded` */
  disconnect({ operator, idleTimeoutMs, buffering }: SessionDisconnectParams): SessionStatus {
    if (!this.live) throw this.#hasEnded();
    checkIdleTimeout(this.configuration, this.#record.limits ?? {}, idleTimeoutMs);
    if (idleTimeoutMs !== undefined) this.#presence.idleTimeoutMs = idleTimeoutMs;
    if (buffering !== undefined) {
      this.#buffering = buffering;
      this.#output.buffering = buffering;
    }
    this.#attachments.leave({ reason: "disconnected", by: operator });
    this.#refresh();
    return this.status();
  }

  /** @throws OutpostError `conflict` when it has ended, or its shell is none that runs commands */
  async run(
    params: SessionRunParams,
    started: (process: RunStarted) => void,
    signal: AbortSignal,
  ): Promise<SessionRunResult> {
    // One that ran before the end has an answer; a new one is told that there will be none.
    const shell = this.#shell;
    if (shell === undefined) throw this.#hasEnded();
    const { outcome, message } = await shell.run(params, started, signal);
    return { outcome, ...(message === undefined ? {} : { message }) };
  }

  stopRun(job: JobId, signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void {
    if (this.live) this.#shell?.runs.stop(job, signal);
  }

  /** Ends the shell and what runs in it. Resolves when nothing of it is left, and its last output is told. */
  async remove(operator: string): Promise<void> {
    await this.#close(removedBy(operator));
  }

  /** The session host stops: ends the shell without anybody having asked for it. */
  async dispose(): Promise<void> {
    await this.#close({
      code: "session_host_died",
      message:
        "the session host process was stopped, and its shell with it; output and recording are still there",
    });
    this.forget();
  }

  /** Lets go of everything but the files. */
  forget(): void {
    if (this.#forgotten) return;
    this.#forgotten = true;
    this.#attachments.leave({ reason: "ended" });
    this.#presence.dispose();
    this.#openLate.cancel();
    this.#timeLimit?.cancel();
    this.#forgetting.cancel();
    this.#shell?.dispose();
    this.#output.close();
  }

  // ------------------------------------------------------------------------------------------- the shell

  #start(start: ShellStart): void {
    const { directory, settings } = this.#context;
    this.#shell = startShell(this.#context, this.#record, start, {
      output: (bytes) => this.#arrived(bytes),
      changed: () => this.#shellChanged(),
      left: () => this.#left(),
      ended: (exit) => this.#shellEnded(exit),
      controlled: () => this.#viewers.controller !== undefined,
      answered: (offset) => this.#attachments.answers.given(offset),
    });
    this.#record.integration = this.#shell.integration;
    this.#record.process = this.#shell.process;
    try {
      directory.write(this.#record);
    } catch (error) {
      // A shell that nobody would know of.
      void this.#shell.end(settings.killGraceMs);
      throw error;
    }
    this.#openLate.set(limits.shellStartMs, () => this.#hasOpened());
    this.#limitTime(this.#record.limits?.timeMs);
  }

  /** Called for each read of the terminal: viewers first. */
  #arrived(bytes: Buffer): number {
    const offset = this.#output.end;
    this.#output.append(bytes);
    this.#attachments.produced(offset, bytes);
    this.#presence.active();
    this.#output.grown();
    this.#flow();
    // A shell without marks has opened when it has said something.
    if (this.#presence.state === "opening") this.#shellChanged();
    this.#context.changed("soon");
    return offset;
  }

  #shellChanged(): void {
    const isAvailable = this.#availability === "available";
    if (isAvailable && this.#presence.state === "opening" && this.#output.end > 0) this.#hasOpened();
    if (isAvailable && !this.#wasAvailable) this.#presence.active();
    this.#wasAvailable = isAvailable;
    this.#refresh();
  }

  #hasOpened(): void {
    if (this.#presence.state !== "opening") return;
    this.#openLate.cancel();
    // Up to here nothing ran that anybody would want the output of; a repaint shows it.
    this.#output.acknowledge(0, this.#output.end);
    this.#presence.opened();
    this.#refresh();
    this.#opened.resolve();
  }

  /** `exit` was typed where that leaves the session: whoever controls, leaves. */
  #left(): void {
    this.#viewers.controller?.finish({ reason: "left" });
  }

  async #close(reason: SessionEnd): Promise<void> {
    if (this.#shell === undefined || !this.live) return;
    this.#ending ??= reason;
    await this.#shell.end(this.#context.settings.killGraceMs);
    await this.#ended.promise;
  }

  #expire(): void {
    this.#endForLimit(idledOut(this.#presence.idleTimeoutMs));
  }

  #limitTime(timeMs: number | undefined): void {
    if (timeMs === undefined) return;
    const { createdAt } = this.#record;
    this.#timeLimit = new TimeLimit(this.#context.clock, createdAt, timeMs, () =>
      this.#endForLimit(lastedTooLong(timeMs)),
    );
  }

  #endForLimit(reason: SessionEnd): void {
    this.#close(reason).catch((error: unknown) =>
      this.#context.log.error({ err: error, session: this.id }, "cannot end a session at its limit"),
    );
  }

  /** Who types in a session uses its configuration, as who opens one. @throws OutpostError `denied` */
  #checkOperator(operator: string): void {
    checkOperator(this.#context.configurations.find(this.configuration), operator);
  }

  #shellEnded(exit: Exit): void {
    const { clock } = this.#context;
    const reason = this.#ending ?? exited(exit);
    const state = reason.code === "session_host_died" ? "broken" : "closed";
    const end: EndRecord = { state, endedAt: clock.now(), activeAt: this.#presence.activeAt, exit, reason };
    this.#record.end = end;
    this.#writeEnd();
    this.#output.save();
    this.#presence.end(state);
    this.#openLate.cancel();
    this.#timeLimit?.cancel();
    this.#attachments.finish({ reason: "ended" });
    this.#releaseScreen();
    this.#output.grown();
    this.#context.changed("now");
    this.#opened.resolve();
    this.#ended.resolve();
    this.#considerForgetting();
  }

  // ------------------------------------------------------------------------------------------ viewers

  #viewerLeft({ role }: Viewer, leaving: Leaving | undefined): void {
    if (leaving?.reason === "ended" && role === "control") this.#endSeen = true;
    this.#releaseScreen();
    this.#considerForgetting();
  }

  get #viewers(): Viewers {
    return this.#attachments.viewers;
  }

  // ------------------------------------------------------------------------------------------ how it stands

  get #availability(): "available" | "busy" {
    const shell = this.#shell;
    if (shell === undefined) return "busy";
    return shell.jobs.length > 0 ? "busy" : shell.prompt.availability;
  }

  get #jobs(): readonly JobId[] {
    return this.live ? (this.#shell?.jobs ?? []) : [];
  }

  /** Somebody came or went, or the shell does something else. */
  #refresh(): void {
    this.#presence.refresh();
    this.#flow();
    this.#context.changed("now");
  }

  #flow(): void {
    if (this.#shell === undefined || !this.live) return;
    const mayBlock = this.#buffering === "block" && this.#presence.state === "disconnected";
    this.#shell.blocked = mayBlock && this.#output.unread >= this.#context.settings.blockBytes;
  }

  // ------------------------------------------------------------------------------------------- the end

  #writeEnd(): void {
    const { directory, log } = this.#context;
    try {
      directory.write(this.#record);
      directory.removeShell();
      removeHanded(agentPaths(this.#context.agentDirectory).handed, "sessions", this.id);
    } catch (error) {
      // A full disk: the next session host will say that it is broken, and no more.
      log.error({ session: this.id }, `cannot write session.json: ${(error as Error).message}`);
    }
  }

  #hasEnded(): OutpostError {
    const { end } = this.#record;
    return new OutpostError(
      ErrorCode.conflict,
      `session ${this.name ?? this.id} has ended: ${end?.reason.message ?? "its shell is gone"}`,
      { data: { state: this.#presence.state, reason: end?.reason.code } },
    );
  }

  /** The emulator is needed as long as somebody may be repainted. */
  #releaseScreen(): void {
    if (!this.live && this.#viewers.size === 0) this.#shell?.dispose();
  }

  /** Asks to be forgotten when nobody will want to know any more, at once or when that time comes. */
  #considerForgetting(): void {
    const { end, spec } = this.#record;
    if (end === undefined || this.#forgotten || this.#viewers.size > 0) return;
    const { clock, settings } = this.#context;
    const retentionMs = spec.temporary
      ? Math.min(temporaryRetentionMs, settings.endedRetentionMs)
      : settings.endedRetentionMs;
    const leftMs = Math.max(0, end.endedAt + retentionMs - clock.now());
    const waitMs = this.#isSeen ? Math.min(forgetDelayMs, leftMs) : leftMs;
    this.#forgetting.set(waitMs, () => this.#context.forgettable());
  }

  get #isSeen(): boolean {
    const { record, temporary } = this.#record.spec;
    if (record) return false;
    // Of a temporary session a repaint may have shown what came before its terminal was attached.
    return this.#output.unread === 0 || (temporary && this.#endSeen && this.#output.endSeen);
  }
}

/** What of a configuration stays with the session. */
function termsOf({ configuration, runAs, limits: allowed }: AdmittedSession): Partial<SessionRecord> {
  const { idleMs, timeMs, outputBytes } = allowed;
  return {
    ...(configuration === openConfiguration.name
      ? {}
      : { configuration: v.parse(ConfigurationName, configuration) }),
    ...(runAs === undefined ? {} : { user: v.parse(UserName, runAs.account.name) }),
    limits: {
      ...(idleMs === undefined ? {} : { idleMs }),
      ...(timeMs === undefined ? {} : { timeMs }),
      ...(outputBytes === undefined ? {} : { outputBytes }),
    },
  };
}

/** What is kept of a session's output is the less of what the host and its configuration say. */
function within(settings: SessionSettings, outputBytes = Infinity): SessionSettings {
  const { maxUnreadBytes, dropOldestBytes, blockBytes, maxRecordingBytes } = settings;
  return {
    ...settings,
    maxUnreadBytes: Math.min(maxUnreadBytes, outputBytes),
    dropOldestBytes: Math.min(dropOldestBytes, outputBytes),
    blockBytes: Math.min(blockBytes, outputBytes),
    maxRecordingBytes: Math.min(maxRecordingBytes, outputBytes),
  };
}
