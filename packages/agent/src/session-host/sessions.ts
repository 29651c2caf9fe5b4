/** All sessions of a host: opens them, finds them, tells how they change, and forgets them. */
import { mkdirSync, readdirSync } from "node:fs";
import {
  type Clock,
  ErrorCode,
  OutpostError,
  SessionId,
  type SessionOpenParams,
  type SessionRemoveParams,
  type SessionStatus,
} from "@outpost/protocol";
import type { Logger } from "pino";
import * as v from "valibot";
import { admitSession, checkCount, type Configurations } from "../configurations/index.ts";
import type { Platform } from "../platform/index.ts";
import { Session } from "./session.ts";
import type { SessionContext } from "./session-context.ts";
import { SessionDirectory } from "./session-directory.ts";
import { duration } from "./session-status.ts";
import type { SessionSettings } from "./settings.ts";

/** Output may grow a thousand times a second; that it has is told this often, in milliseconds. */
const growthMs = 200;

export interface SessionsOptions {
  /** Where the sessions' directories are. */
  readonly root: string;
  readonly settings: SessionSettings;
  readonly hostName: string;
  /** The agent's directory. */
  readonly agentDirectory: string;
  /** What the host offers. */
  readonly configurations: Configurations;
  readonly platform: Platform;
  readonly clock: Clock;
  readonly log: Logger;
  readonly changed: (status: SessionStatus) => void;
  readonly gone: (session: SessionId) => void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<SessionId, Session>();
  /** Changes that are not told yet: at the end of this turn, or a little later. */
  readonly #untold = new Map<SessionId, { readonly how: "now" | "soon"; readonly cancel: () => void }>();

  /** Takes up what an earlier session host has left. */
  constructor(options: SessionsOptions) {
    this.#options = options;
    mkdirSync(options.root, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(options.root)) {
      if (v.is(SessionId, name)) this.#recall(name);
    }
    this.#makeRoom();
  }

  get all(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** How many have a shell. */
  get liveCount(): number {
    return this.all.filter(({ live }) => live).length;
  }

  list(): SessionStatus[] {
    return this.all.map((session) => session.status());
  }

  /** @throws OutpostError `not_found` */
  get(id: SessionId): Session {
    const session = this.#sessions.get(id);
    if (session === undefined)
      throw new OutpostError(ErrorCode.notFound, `there is no session ${id} on this host`);
    return session;
  }

  /**
   * Opens a session, or finds the one of that id: then the rest is not looked at.
   * @returns when it has shown its first prompt, or has ended
   * @throws OutpostError `conflict` when the name is taken; `limit_exceeded`; `start_failed`; as `admitSession` and
   *   `Configurations.find`
   */
  async open({ session: id, spec, operator }: SessionOpenParams): Promise<SessionStatus> {
    const session = this.#sessions.get(id) ?? this.#open({ session: id, spec, operator });
    await session.opened;
    return session.status();
  }

  /** Removing one that is not there succeeds. */
  async remove({ session: id, operator }: SessionRemoveParams): Promise<void> {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    await session.remove(operator);
    this.#forget(id);
  }

  /** @throws OutpostError `limit_exceeded` */
  checkIdleTimeout(idleTimeoutMs: number | undefined): void {
    const { maxIdleTimeoutMs } = this.#options.settings;
    if (idleTimeoutMs === undefined || idleTimeoutMs <= maxIdleTimeoutMs) return;
    throw new OutpostError(
      ErrorCode.limitExceeded,
      `an idle time of ${duration(idleTimeoutMs)} is more than this host allows, ` +
        `${duration(maxIdleTimeoutMs)} (sessions.maxIdleTimeoutMs in agent.json)`,
    );
  }

  /** Ends all shells. Their sessions are broken then, and their output waits for the next session host. */
  async dispose(): Promise<void> {
    await Promise.all(this.all.map((session) => session.dispose()));
    for (const { cancel } of this.#untold.values()) cancel();
    this.#untold.clear();
  }

  #open(params: Pick<SessionOpenParams, "session" | "spec" | "operator">): Session {
    const { spec, session: id } = params;
    const { settings, configurations } = this.#options;
    const { maxSessions } = settings;
    const configuration = configurations.find(spec.configuration);
    const admitted = admitSession(configuration, params);
    this.checkIdleTimeout(spec.idleTimeoutMs);
    const namesake = this.all.find(({ live, name }) => live && name !== undefined && name === spec.name);
    if (namesake !== undefined) {
      throw new OutpostError(
        ErrorCode.conflict,
        `there is a session named ${spec.name!} on this host already; choose another name, or remove that one`,
        { data: { session: namesake.id } },
      );
    }
    if (this.liveCount >= maxSessions) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `this host has ${String(maxSessions)} sessions, which is its limit (sessions.maxSessions in agent.json); remove one first`,
      );
    }
    const alike = this.all.filter((each) => each.live && each.configuration === configuration.name);
    checkCount("sessions", configuration.name, configuration.limits, alike.length);
    const session = Session.open(this.#context(id), params, admitted);
    this.#sessions.set(id, session);
    this.#changed(id, "now");
    return session;
  }

  #recall(name: string): void {
    const id = v.parse(SessionId, name);
    const context = this.#context(id);
    const record = context.directory.read();
    if (record?.session === id) {
      this.#sessions.set(id, Session.recall(context, record));
      return;
    }
    // It died before it had begun to be one.
    this.#options.log.warn({ session: id }, "a session's directory without its record: removed");
    context.directory.remove();
  }

  #context(id: SessionId): SessionContext {
    const { root, ...rest } = this.#options;
    return {
      ...rest,
      directory: new SessionDirectory(root, id),
      changed: (how) => this.#changed(id, how),
      forgettable: () => this.#forget(id),
    };
  }

  #forget(id: SessionId): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    this.#untold.get(id)?.cancel();
    this.#untold.delete(id);
    session.forget();
    new SessionDirectory(this.#options.root, id).remove();
    this.#options.gone(id);
  }

  /** The oldest that have ended go when there are too many. */
  #makeRoom(): void {
    const { maxEndedSessions } = this.#options.settings;
    const ended = this.all.filter(({ live }) => !live).sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
    for (const session of ended.slice(0, Math.max(0, ended.length - maxEndedSessions)))
      this.#forget(session.id);
  }

  /** Tells of it once at the end of this turn of the event loop, or a little later. */
  #changed(id: SessionId, how: "now" | "soon"): void {
    const untold = this.#untold.get(id);
    if (!this.#sessions.has(id) || untold?.how === "now" || (untold !== undefined && how === "soon")) return;
    untold?.cancel();
    const tell = (): void => this.#tell(id);
    const cancel = how === "soon" ? this.#options.clock.after(growthMs, tell) : endOfTurn(tell);
    this.#untold.set(id, { how, cancel });
  }

  #tell(id: SessionId): void {
    this.#untold.delete(id);
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#options.changed(session.status());
    if (!session.live) this.#makeRoom();
  }
}

function endOfTurn(action: () => void): () => void {
  const immediate = setImmediate(action);
  return () => clearImmediate(immediate);
}
