/**
 * The session host: the process that owns a host's sessions, put together. It listens on a Unix socket for its agent,
 * which comes and goes; it ends itself when there is nothing left to own.
 *
 *     start ──▶ serving ──no session lives, and nobody asks──▶ leaving ──▶ ended
 */
import type { Server } from "node:net";
import {
  type Clock,
  ErrorCode,
  type MessageSocket,
  OutpostError,
  Peer,
  sessionHostAgentMethods,
  sessionHostMethods,
} from "@outpost/protocol";
import { listenUnixSocket } from "@outpost/protocol/unix-socket";
import type { Logger } from "pino";
import { readConfig } from "../config.ts";
import { Configurations } from "../configurations/index.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { DirectoryLock } from "../lock.ts";
import type { Platform } from "../platform/index.ts";
import { makePrivateDirectory } from "../private-directory.ts";
import { writeAgentCommand } from "./agent-command.ts";
import { type AgentPeer, createHandlers } from "./handlers.ts";
import { Sessions } from "./sessions.ts";
import type { SessionSettings } from "./settings.ts";

/** How long without a live session, and without being asked anything, before it leaves, in milliseconds. */
const idleMs = 10_000;
/** How often that is looked at. */
const lookEveryMs = 1_000;

export interface SessionHostOptions {
  /** The agent's directory. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly platform: Platform;
  /** Default: from the agent's configuration, as the host's name. */
  readonly settings?: SessionSettings;
  readonly hostName?: string;
}

export class SessionHost implements AsyncDisposable {
  readonly sessions: Sessions;
  readonly #options: SessionHostOptions;
  readonly #lock: DirectoryLock;
  readonly #hostName: string;
  readonly #peers = new Set<AgentPeer>();
  readonly #ended = Promise.withResolvers<void>();
  #server: Server | undefined;
  #cancelLook: () => void = () => {};
  #usedMs: number;
  #leaving: Promise<void> | undefined;

  /**
   * @throws OutpostError `busy` when another session host has this directory; `denied` when the directory of its socket
   * is somebody else's; as `readConfig`
   */
  static async start(options: SessionHostOptions): Promise<SessionHost> {
    const paths = agentPaths(options.directory);
    const { settings, hostName } = await configured(options, paths);
    makePrivateDirectory(paths.run);
    makePrivateDirectory(paths.sockets);
    const lock = acquire(paths, options.platform);
    try {
      writeAgentCommand(paths.run);
      const host = new SessionHost(options, paths, lock, settings, hostName);
      // Only the holder of the lock may replace a socket that lies there.
      host.#server = await listenUnixSocket(paths.sessionHostSocket, (socket) => host.serve(socket));
      return host;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(
    options: SessionHostOptions,
    paths: AgentPaths,
    lock: DirectoryLock,
    settings: SessionSettings,
    hostName: string,
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#hostName = hostName;
    const { platform, clock, log } = options;
    this.#usedMs = clock.monotonicMs();
    this.sessions = new Sessions({
      root: paths.sessions,
      settings,
      hostName,
      agentDirectory: paths.directory,
      configurations: new Configurations(paths.configurations),
      platform,
      clock,
      log,
      changed: (status) => {
        for (const peer of this.#peers) peer.notify("session.changed", { status });
      },
      gone: (session) => {
        this.#usedMs = clock.monotonicMs();
        for (const peer of this.#peers) peer.notify("session.gone", { session });
      },
    });
    this.#look();
  }

  /** Resolves when it has left. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Serves an agent's connection until it ends. */
  serve(socket: MessageSocket): void {
    const { clock, log } = this.#options;
    const peer: AgentPeer = new Peer(socket, {
      local: sessionHostMethods,
      remote: sessionHostAgentMethods,
      handlers: createHandlers({
        sessions: this.sessions,
        hostName: this.#hostName,
        clock,
        peer: () => peer,
        used: () => this.#used(),
      }),
      clock,
      fault: (error, method) => log.error({ err: error, method }, "fault in a handler"),
    });
    this.#peers.add(peer);
    void peer.closed.then(() => this.#peers.delete(peer));
  }

  /** @throws OutpostError `disconnected` when it is leaving: a shell that it opened now would end with it */
  #used(): void {
    if (this.#leaving !== undefined) {
      throw new OutpostError(ErrorCode.disconnected, "the session host leaves; ask the next one");
    }
    this.#usedMs = this.#options.clock.monotonicMs();
  }

  /** Leaves, and ends all sessions' shells. Their output waits for the next session host. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving ??= this.#leave();
    await this.#leaving;
  }

  async #leave(): Promise<void> {
    this.#cancelLook();
    // Whoever dials from now on finds nobody, and starts the next one: it may as soon as the lock is free.
    this.#server?.close();
    await this.sessions.dispose();
    this.#lock[Symbol.dispose]();
    await Promise.all([...this.#peers].map((peer) => peer.close("the session host leaves")));
    this.#ended.resolve();
  }

  #look(): void {
    this.#cancelLook = this.#options.clock.after(lookEveryMs, () => {
      if (this.#isIdle) void this[Symbol.asyncDispose]();
      else this.#look();
    });
  }

  /** An agent that is connected while ended sessions are kept would only start the next one to ask for them. */
  get #isIdle(): boolean {
    const { clock } = this.#options;
    if (this.sessions.liveCount > 0 || [...this.#peers].some(({ openCalls }) => openCalls > 0)) {
      this.#usedMs = clock.monotonicMs();
      return false;
    }
    if (this.#peers.size > 0 && this.sessions.all.length > 0) return false;
    return clock.monotonicMs() - this.#usedMs >= idleMs;
  }
}

interface Configured {
  readonly settings: SessionSettings;
  readonly hostName: string;
}

async function configured(options: SessionHostOptions, paths: AgentPaths): Promise<Configured> {
  const { settings, hostName } = options;
  if (settings !== undefined && hostName !== undefined) return { settings, hostName };
  const config = await readConfig(paths);
  return { settings: settings ?? config.sessions, hostName: hostName ?? config.name };
}

function acquire(paths: AgentPaths, platform: Platform): DirectoryLock {
  try {
    return DirectoryLock.acquire(paths.sessionHostLock, platform);
  } catch (error) {
    if (!(error instanceof OutpostError) || error.code !== ErrorCode.busy) throw error;
    throw new OutpostError(ErrorCode.busy, `a session host runs on ${paths.directory} already`, {
      data: error.data,
      cause: error,
    });
  }
}
