/**
 * The agent's one connection to its session host. Made when somebody needs it, and made again after a cut as long as
 * there are sessions: whatever became of them, the next session host says.
 *
 *     idle ──connect()──▶ connecting ──▶ greeting ──▶ connected ──cut──▶ idle, or `waiting` while there are sessions
 *      ▲                      │             │                              │
 *      └──────── failed ◀─────┴─────────────┘ ◀────────── backoff over ────┘
 */
import {
  type Clock,
  ErrorCode,
  limits,
  type MessageSocket,
  OutpostError,
  Peer,
  sessionHostAgentMethods,
  sessionHostMethods,
  type SessionId,
  type SessionStatus,
  supportedVersions,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { Backoff } from "../backoff.ts";
import { pause } from "../pause.ts";
import { software } from "../version.ts";

/** The connection as the agent sees it. */
export type SessionHostPeer = Peer<typeof sessionHostAgentMethods, typeof sessionHostMethods>;

/** How long the session host may take for its list, in milliseconds. */
const listTimeoutMs = 10_000;
/** A session host that is dying may still accept for a moment: how often it is greeted, and how long after, in milliseconds. */
const greetings = 4;
const greetAgainMs = 50;
/** A connection that lived this long was a good one, in milliseconds. */
const goodConnectionMs = 10_000;

export interface SessionHostLinkOptions {
  /** Connects to the session host, and starts it if need be. @throws OutpostError */
  readonly dial: (signal: AbortSignal) => Promise<MessageSocket>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number;
  /** All sessions, at each new connection. Called before `connect` resolves. */
  readonly listed: (sessions: readonly SessionStatus[]) => void;
  readonly changed: (status: SessionStatus) => void;
  readonly gone: (session: SessionId) => void;
  /** Whether the connection is wanted although nobody asks for it. */
  readonly wanted: () => boolean;
}

export class SessionHostLink implements AsyncDisposable {
  readonly #options: SessionHostLinkOptions;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #peer: SessionHostPeer | undefined;
  #version: number = supportedVersions.max;
  #connecting: Promise<SessionHostPeer> | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(options: SessionHostLinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  /** The connection, if there is one now. */
  get peer(): SessionHostPeer | undefined {
    return this.#peer?.isOpen === true ? this.#peer : undefined;
  }

  /** The protocol version of the connection. */
  get version(): number {
    return this.#version;
  }

  /**
   * The connection, made if need be.
   * @throws OutpostError `start_failed` when the session host does not start; `version_mismatch`; `disconnected` when
   * it ends at once; `cancelled` when the agent stops
   */
  connect(): Promise<SessionHostPeer> {
    const { peer } = this;
    if (peer !== undefined) return Promise.resolve(peer);
    if (this.#stopping.signal.aborted) return Promise.reject(stopped());
    this.#connecting ??= this.#attempt().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  /** Connects without anybody asking, again and again until it succeeds or is not wanted any more. */
  keep(): void {
    this.connect().catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return;
      const { code, message } = OutpostError.from(error);
      this.#options.log.error({ code }, `no connection to the session host: ${message}`);
      this.#again();
    });
  }

  /** Lets go of it; the session host and its sessions go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(stopped());
    this.#cancelRetry?.();
    await this.#connecting?.catch(() => {});
    await this.#peer?.close("the agent stops");
  }

  async #attempt(): Promise<SessionHostPeer> {
    const { signal } = this.#stopping;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (let left = greetings - 1; ; left--) {
      try {
        return await this.#greet();
      } catch (error) {
        const cut = error instanceof OutpostError && error.code === ErrorCode.disconnected;
        if (!cut || left === 0 || signal.aborted) throw error;
      }
      await pause(this.#options.clock, greetAgainMs, signal);
    }
  }

  async #greet(): Promise<SessionHostPeer> {
    const { dial, clock, listed } = this.#options;
    const { signal } = this.#stopping;
    const peer = this.#listen(await dial(signal));
    try {
      signal.throwIfAborted();
      const { version } = await peer.request(
        "hello",
        { versions: supportedVersions, software, maxMessageBytes: limits.maxMessageBytes },
        { timeoutMs: limits.helloTimeoutMs, signal },
      );
      const { sessions } = await peer.request("session.list", {}, { timeoutMs: listTimeoutMs, signal });
      this.#version = version;
      this.#peer = peer;
      listed(sessions);
    } catch (error) {
      peer.abort(OutpostError.from(error));
      throw error;
    }
    const connectedAtMs = clock.monotonicMs();
    void peer.closed.then((reason) => this.#cut(peer, reason, clock.monotonicMs() - connectedAtMs));
    return peer;
  }

  #listen(socket: MessageSocket): SessionHostPeer {
    const { clock, log, changed, gone } = this.#options;
    return new Peer(socket, {
      local: sessionHostAgentMethods,
      remote: sessionHostMethods,
      handlers: {
        "session.changed": ({ status }) => changed(status),
        "session.gone": ({ session }) => gone(session),
      },
      clock,
      fault: (error, method) => log.error({ err: error, method }, "fault in a handler of the session host's"),
    });
  }

  #cut(peer: SessionHostPeer, reason: OutpostError, livedMs: number): void {
    if (this.#peer === peer) this.#peer = undefined;
    if (this.#stopping.signal.aborted) return;
    if (livedMs >= goodConnectionMs) this.#backoff.reset();
    if (!this.#options.wanted()) return;
    this.#options.log.warn({ code: reason.code }, `the session host has gone: ${reason.message}`);
    this.#again();
  }

  #again(): void {
    if (this.#stopping.signal.aborted || !this.#options.wanted()) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.after(this.#backoff.next(), () => this.keep());
  }
}

/** The session host's answer as it is; the end of its connection in words that say whose. */
export function explainCut(peer: SessionHostPeer, error: unknown): unknown {
  if (peer.isOpen || !(error instanceof OutpostError) || error.code === ErrorCode.cancelled) return error;
  return new OutpostError(
    ErrorCode.disconnected,
    `the session host of this host has gone: ${error.message}; what becomes of its sessions is said by the next one`,
    { cause: error },
  );
}

function stopped(): OutpostError {
  return new OutpostError(ErrorCode.cancelled, "the agent stops");
}
