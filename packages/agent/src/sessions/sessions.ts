/**
 * The sessions of this host as the agent knows them: what the session host said last. The one door to sessions for the
 * controller's requests and for jobs that run in sessions. It keeps no output and no state of its own: a session is what
 * the session host says.
 *
 * What is known is complete from the first list on (`known`); before, the host may hold sessions that nobody has told
 * of, so nothing may be concluded from what is missing.
 */
import {
  type Clock,
  ErrorCode,
  OutpostError,
  type SessionAcknowledgeParams,
  type SessionDisconnectParams,
  type SessionId,
  type SessionOpenParams,
  type SessionRemoveParams,
  type SessionResizeParams,
  type SessionRoleParams,
  type SessionRunParams,
  type SessionRunResult,
  type RunStarted,
  type SessionStatus,
  type SessionStopRunParams,
  type MessageSocket,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { Configurations } from "../configurations/index.ts";
import type { AgentPaths } from "../directory.ts";
import type { SessionShells } from "../jobs/session-shells.ts";
import { hostPlatform } from "../platform/index.ts";
import { explainCut, SessionHostLink, type SessionHostPeer } from "./session-host-link.ts";
import { dialSessionHost, holdsSessions } from "./session-host-process.ts";

/** What happened to the sessions. `listed`: all of them may be others than before. */
export type SessionsEvent =
  | { readonly kind: "listed" }
  | { readonly kind: "changed"; readonly status: SessionStatus }
  | { readonly kind: "gone"; readonly session: SessionId };

export interface SessionsOptions {
  readonly paths: AgentPaths;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the host offers. Default: what every host does, and no more. */
  readonly configurations?: Configurations;
  /** Connects to the session host. Default: over its socket; it is started when nobody listens there. */
  readonly dial?: (signal: AbortSignal) => Promise<MessageSocket>;
}

export class Sessions implements SessionShells, AsyncDisposable {
  readonly #paths: AgentPaths;
  readonly #link: SessionHostLink;
  readonly #configurations: Configurations | undefined;
  readonly #statuses = new Map<SessionId, SessionStatus>();
  readonly #listeners = new Set<(event: SessionsEvent) => void>();
  #known = false;

  /** Begins to connect when there are sessions; else the session host is started by the first that is opened. */
  constructor(options: SessionsOptions) {
    const { paths, clock, log } = options;
    this.#paths = paths;
    this.#configurations = options.configurations;
    this.#link = new SessionHostLink({
      dial:
        options.dial ?? ((signal) => dialSessionHost({ paths, clock, processes: hostPlatform() }, signal)),
      clock,
      log,
      listed: (sessions) => this.#listed(sessions),
      changed: (status) => this.#changed(status),
      gone: (session) => this.#gone(session),
      wanted: () => this.#isWanted,
    });
    if (holdsSessions(paths)) this.#link.keep();
    else this.#known = true;
  }

  /** Every session that the host holds; `undefined` as long as the session host was not asked. */
  list(): readonly SessionStatus[] | undefined {
    return this.#known ? [...this.#statuses.values()] : undefined;
  }

  /** Calls back at every change, in order. Returns what takes the listener away. */
  onEvent(listener: (event: SessionsEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @throws OutpostError `start_failed`; `version_mismatch` for what a session host of an older agent does not know; and
   * the session host's */
  async open(params: SessionOpenParams): Promise<SessionStatus> {
    const status = await this.#open(params).catch((error: unknown) => {
      // A session host that has nothing to own leaves, perhaps this moment; the same id opens one session.
      if (error instanceof OutpostError && error.code === ErrorCode.disconnected) return this.#open(params);
      throw error;
    });
    // Whoever asks for it next must find it. What the session host told meanwhile is newer.
    if (!this.#statuses.has(status.session)) this.#changed(status);
    return status;
  }

  async #open(params: SessionOpenParams): Promise<SessionStatus> {
    const peer = await this.#link.connect();
    if (this.#link.version < 2) this.#checkOldHost(params);
    return (await asked(peer, peer.request("session.open", params))).status;
  }

  /** A session host of protocol version 1 knows no configurations: it would open any session as the agent's user. */
  #checkOldHost({ spec }: SessionOpenParams): void {
    const isPlain = spec.configuration === undefined && spec.user === undefined;
    if (isPlain && this.#configurations?.replacesDefault !== true) return;
    throw new OutpostError(
      ErrorCode.versionMismatch,
      "the session host of this host is older than its agent and knows no configurations; it is replaced as soon as its sessions have ended",
    );
  }

  /**
   * The connection on which a session is to be attached to or read.
   * @throws OutpostError `not_found`; `start_failed` when the session host does not come
   */
  async connection(session: SessionId): Promise<SessionHostPeer> {
    if (this.#link.peer !== undefined) return this.#link.peer;
    if (this.#known && !this.#statuses.has(session)) throw notFound(session);
    return this.#link.connect();
  }

  async resize(params: SessionResizeParams): Promise<void> {
    const peer = await this.connection(params.session);
    await asked(peer, peer.request("session.resize", params));
  }

  async setRole(params: SessionRoleParams): Promise<void> {
    const peer = await this.connection(params.session);
    await asked(peer, peer.request("session.role", params));
  }

  async acknowledge(params: SessionAcknowledgeParams): Promise<void> {
    const peer = await this.connection(params.session);
    await asked(peer, peer.request("session.acknowledge", params));
  }

  async disconnect(params: SessionDisconnectParams): Promise<SessionStatus> {
    const peer = await this.connection(params.session);
    return (await asked(peer, peer.request("session.disconnect", params))).status;
  }

  /** Removing one that is not there succeeds. */
  async remove(params: SessionRemoveParams): Promise<void> {
    const isThere = this.#link.peer !== undefined || !this.#known || this.#statuses.has(params.session);
    if (!isThere) return;
    const peer = await this.#link.connect();
    await asked(peer, peer.request("session.remove", params));
  }

  // ------------------------------------------------------------------------------------- for jobs: SessionShells

  async ready(): Promise<void> {
    if (!this.#known) await this.#link.connect();
  }

  find(ids: readonly SessionId[]): SessionStatus | undefined {
    const held = ids.map((id) => this.#statuses.get(id)).filter((status) => status !== undefined);
    return held.find(({ state }) => state !== "closed" && state !== "broken") ?? held[0];
  }

  async run(
    params: SessionRunParams,
    started: (process: RunStarted) => void,
    signal: AbortSignal,
  ): Promise<SessionRunResult> {
    const peer = await this.connection(params.session);
    const run = peer.request("session.run", params, { signal, onEvent: (event) => started(event.params) });
    return asked(peer, run);
  }

  async stopRun(params: SessionStopRunParams): Promise<void> {
    const peer = await this.connection(params.session);
    await asked(peer, peer.request("session.stopRun", params));
  }

  /** Lets go of everything; sessions go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]();
    this.#listeners.clear();
  }

  /** Without a list there may be some; with one, those are. */
  get #isWanted(): boolean {
    return this.#known ? this.#statuses.size > 0 : holdsSessions(this.#paths);
  }

  #listed(sessions: readonly SessionStatus[]): void {
    this.#known = true;
    this.#statuses.clear();
    for (const status of sessions) this.#statuses.set(status.session, status);
    this.#tell({ kind: "listed" });
  }

  #changed(status: SessionStatus): void {
    this.#statuses.set(status.session, status);
    this.#tell({ kind: "changed", status });
  }

  #gone(session: SessionId): void {
    if (this.#statuses.delete(session)) this.#tell({ kind: "gone", session });
  }

  #tell(event: SessionsEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Says what a cut means here. */
async function asked<T>(peer: SessionHostPeer, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw explainCut(peer, error);
  }
}

function notFound(session: SessionId): OutpostError {
  return new OutpostError(ErrorCode.notFound, `there is no session ${session} on this host`);
}
