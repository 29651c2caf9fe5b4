/**
 * The agent's door for programs on its own host: a Unix socket in a directory that only the agent's user may enter, and
 * one peer per program that has come in. It owns the socket and the peers; jobs go on without them.
 */
import type { Server } from "node:net";
import { userInfo } from "node:os";
import {
  agentLocalClientMethods,
  agentLocalMethods,
  type AgentStatus,
  type Clock,
  type MessageSocket,
  Peer,
} from "@outpost/protocol";
import { listenUnixSocket } from "@outpost/protocol/unix-socket";
import type { Logger } from "pino";
import type { AgentPaths } from "../directory.ts";
import type { Gate } from "../access/gate.ts";
import type { HeldJobs } from "../handlers/context.ts";
import { makePrivateDirectory } from "../private-directory.ts";
import { createLocalHandlers, type LocalPeer } from "./handlers.ts";

export interface LocalServerOptions {
  readonly paths: Pick<AgentPaths, "sockets" | "localSocket">;
  readonly jobs: HeldJobs;
  readonly gate: Pick<Gate, "admitLocally">;
  /** The host's name. */
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How the agent is, now. */
  readonly status: () => AgentStatus;
}

/** How many programs may be connected at once: each takes a descriptor, of which jobs need some too. One more is
 * disconnected at once. */
const maxPrograms = 256;

export class LocalServer implements AsyncDisposable {
  readonly #options: LocalServerOptions;
  readonly #user = userInfo().username;
  readonly #peers = new Set<LocalPeer>();
  #server: Server | undefined;

  private constructor(options: LocalServerOptions) {
    this.#options = options;
  }

  /**
   * Listens. The caller MUST hold the directory's lock: a socket that is there is taken for a dead agent's.
   * @throws OutpostError when it cannot listen there
   */
  static async listen(options: LocalServerOptions): Promise<LocalServer> {
    const local = new LocalServer(options);
    const { sockets, localSocket } = options.paths;
    makePrivateDirectory(sockets);
    const server = await listenUnixSocket(localSocket, (socket) => local.#accept(socket));
    server.maxConnections = maxPrograms;
    local.#server = server;
    return local;
  }

  /** How many programs are connected. */
  get programs(): number {
    return this.#peers.size;
  }

  /** Removes the socket and tells every program that the agent leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    this.#server = undefined;
    await Promise.all([...this.#peers].map((peer) => peer.close("the agent stops")));
  }

  #accept(socket: MessageSocket): void {
    const { jobs, gate, hostName, clock, log, status } = this.#options;
    const peer: LocalPeer = new Peer(socket, {
      local: agentLocalMethods,
      remote: agentLocalClientMethods,
      handlers: createLocalHandlers({
        jobs,
        gate,
        user: this.#user,
        host: hostName,
        clock,
        status,
        peer: () => peer,
      }),
      clock,
      fault: (error, method) => log.error({ err: error, method }, "fault in a handler of the local socket"),
    });
    this.#peers.add(peer);
    void peer.closed.then(() => this.#peers.delete(peer));
  }
}
