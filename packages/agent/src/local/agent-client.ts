/**
 * A program's way to the agent of its own host. A request that the agent's end cuts off (it is being restarted, or
 * upgraded) is made again when it is back: jobs go on meanwhile, so whoever waits for one can, too.
 */
import { existsSync, statSync } from "node:fs";
import {
  agentLocalClientMethods,
  agentLocalMethods,
  ErrorCode,
  limits,
  OutpostError,
  Peer,
  supportedVersions,
} from "@outpost/protocol";
import { dialUnixSocket } from "@outpost/protocol/unix-socket";
import { type AgentPaths, defaultAgentDirectory } from "../directory.ts";
import { makePrivateDirectory } from "../private-directory.ts";
import { software } from "../version.ts";

/** The agent as a program sees it. */
export type LocalAgent = Peer<typeof agentLocalClientMethods, typeof agentLocalMethods>;

export interface AgentClientOptions {
  readonly paths: AgentPaths;
  /** Ends everything that is under way with its reason. */
  readonly signal: AbortSignal;
  /** Told once for each time that the agent has gone away, and is waited for. */
  readonly waiting?: (message: string) => void;
  /** How long an agent that has gone away may take to be back, in milliseconds. Default 30 s: a restart takes one or
   * two, an upgrade some more. Then what was asked fails with `disconnected`. */
  readonly absenceMs?: number;
}

const defaultAbsenceMs = 30_000;
/** How often to look whether the agent is back, in milliseconds. */
const redialMs = 100;
/** An agent that cuts us off sooner than this after it was dialled, in milliseconds, so many times in a row, does so
 * because of what we ask. */
const soonMs = 1_000;
const maxSoonCuts = 5;

export class AgentClient implements AsyncDisposable {
  readonly #options: AgentClientOptions;
  #agent: LocalAgent | undefined;
  /** It was there once: so it may be back. */
  #wasThere = false;

  constructor(options: AgentClientOptions) {
    this.#options = options;
  }

  /**
   * Asks the agent. When its end cuts `action` off, `action` runs again with the next agent: it MUST do no harm twice.
   * @throws OutpostError the agent's; `not_found` when no agent runs there; `denied` when it is another user's;
   * `disconnected` when it has gone and not come back in time; the signal's reason
   */
  async ask<T>(action: (agent: LocalAgent) => Promise<T>): Promise<T> {
    for (let soonCuts = 0; ;) {
      const agent = await this.#connected();
      const askedAt = performance.now();
      try {
        return await action(agent);
      } catch (error) {
        const isCut = OutpostError.from(error).code === ErrorCode.disconnected && !agent.isOpen;
        soonCuts = performance.now() - askedAt < soonMs ? soonCuts + 1 : 0;
        if (!isCut || this.#options.signal.aborted || soonCuts >= maxSoonCuts) throw error;
        this.#agent = undefined;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.close("done");
  }

  async #connected(): Promise<LocalAgent> {
    if (this.#agent?.isOpen === true) return this.#agent;
    this.#agent = this.#wasThere ? await this.#dialAgain() : await this.#dial();
    this.#wasThere = true;
    return this.#agent;
  }

  async #dialAgain(): Promise<LocalAgent> {
    const { signal, waiting, absenceMs = defaultAbsenceMs } = this.#options;
    waiting?.("the agent has gone away; waiting for it to come back (jobs go on)");
    const deadline = performance.now() + absenceMs;
    for (;;) {
      try {
        return await this.#dial();
      } catch (error) {
        if (signal.aborted || !isAbsence(error)) throw error;
        if (performance.now() > deadline) {
          throw new OutpostError(
            ErrorCode.disconnected,
            `the agent has gone away and not come back within ${String(absenceMs / 1000)} s; jobs go on, and their output waits`,
            { cause: error },
          );
        }
      }
      await delay(redialMs, signal);
    }
  }

  async #dial(): Promise<LocalAgent> {
    const { paths, signal } = this.#options;
    checkOwner(paths);
    const socket = await dialUnixSocket(paths.localSocket, signal).catch((error: unknown) => {
      throw explainDial(paths, OutpostError.from(error));
    });
    const agent: LocalAgent = new Peer(socket, {
      local: agentLocalClientMethods,
      remote: agentLocalMethods,
      handlers: {},
    });
    const versions = supportedVersions;
    const { maxMessageBytes } = limits;
    try {
      await agent.request("hello", { versions, software, maxMessageBytes }, { signal });
    } catch (error) {
      agent.abort(OutpostError.from(error));
      throw error;
    }
    return agent;
  }
}

/** Nobody is there now; that may change. */
function isAbsence(error: unknown): boolean {
  const { code } = OutpostError.from(error);
  return code === ErrorCode.notFound || code === ErrorCode.disconnected || code === ErrorCode.busy;
}

/**
 * What we tell an agent (the environment of a job, for one) is for our own user only, and its jobs run as the user of
 * the agent: so root does not talk to the agents of others either.
 * @throws OutpostError `denied`
 */
function checkOwner(paths: AgentPaths): void {
  // In /tmp anybody could have made the directory.
  if (paths.sockets !== paths.run && existsSync(paths.sockets)) makePrivateDirectory(paths.sockets);
  let owner: number | undefined;
  try {
    owner = statSync(paths.localSocket, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    // Absent, in words of its own, when it is dialled.
    if ((error as NodeJS.ErrnoException).code !== "EACCES") return;
    throw notOurs(paths, statSync(paths.directory, { throwIfNoEntry: false })?.uid);
  }
  if (owner !== undefined && owner !== process.getuid?.()) throw notOurs(paths, owner);
}

function notOurs({ directory }: AgentPaths, owner: number | undefined): OutpostError {
  const whose = owner === undefined ? "another user" : `another user (id ${String(owner)})`;
  return new OutpostError(
    ErrorCode.denied,
    `the agent in ${directory} belongs to ${whose}: its jobs run as that user, and only that user may start or see ` +
      "them on the host; become that user (with sudo, for one), or name your own agent's directory with --dir",
    { data: { directory } },
  );
}

function explainDial(paths: AgentPaths, error: OutpostError): OutpostError {
  if (error.code !== ErrorCode.disconnected) return error;
  const { directory, config } = paths;
  const dir = directory === defaultAgentDirectory() ? "" : ` --dir ${directory}`;
  const text = existsSync(config)
    ? `no agent runs in ${directory}: start it with \`outpost-agent start${dir}\``
    : `there is no agent in ${directory}: this host has not joined a controller there`;
  return new OutpostError(ErrorCode.notFound, `${text}, or name another directory with --dir`, {
    data: { directory },
    cause: error,
  });
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(OutpostError.from(signal.reason, ErrorCode.cancelled));
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
