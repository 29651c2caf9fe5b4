/** An agent, put together. The one place that knows all its parts; used by `outpost-agent start`, tests and benchmarks. */
import { type Clock, OutpostError, systemClock } from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import type { Logger } from "pino";
import { type AgentConfig, readConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import { expiresAt, readCredentials } from "./credentials.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
import { gatherFacts } from "./facts.ts";
import type { HeldJobs } from "./handlers/context.ts";
import { Jobs } from "./jobs/index.ts";
import { LocalServer, type LocalServerOptions } from "./local/local-server.ts";
import { DirectoryLock } from "./lock.ts";
import { hostPlatform } from "./platform/index.ts";
import { Sessions } from "./sessions/sessions.ts";

export interface AgentOptions {
  /** A directory that has joined a controller. */
  readonly directory: string;
  readonly log: Logger;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** The jobs that the agent offers, for tests. Default: those of the directory. The agent does not dispose these. */
  readonly jobs?: HeldJobs;
}

const dayMs = 24 * 60 * 60 * 1000;

export class Agent implements AsyncDisposable {
  /** The host's name. */
  readonly name: string;
  readonly connection: Connection;
  readonly #parts: Parts;

  private constructor(name: string, connection: Connection, parts: Parts) {
    this.name = name;
    this.connection = connection;
    this.#parts = parts;
  }

  /**
   * Locks the directory, adopts its jobs and begins to connect. Resolves before it is connected (`connection.connected()`).
   * @throws OutpostError `not_found` when the directory has not joined; `invalid_argument` when agent.json is not
   * valid; `busy` when another agent runs on it
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const { directory, log, clock = systemClock } = options;
    const paths = agentPaths(directory);
    const config = await readConfig(paths);
    const { key, certificate, authority } = await readCredentials(paths);
    warnOfExpiry(log, expiresAt(certificate) - clock.now());
    const platform = hostPlatform();
    const parts: Parts = [DirectoryLock.acquire(paths.lock, platform)];
    try {
      const sessions = new Sessions({ paths, clock, log });
      parts.push(sessions);
      const jobs = options.jobs ?? (await openJobs(paths, config, clock, log, sessions));
      if (jobs instanceof Jobs && jobs !== options.jobs) parts.push(jobs);
      const local = await listenLocally({ paths, jobs, hostName: config.name, clock, log });
      if (local !== undefined) parts.push(local);
      const connection = new Connection({
        dial: (signal) =>
          dialWebSocket({
            url: `${config.controller}/agent`,
            tls: { key, cert: certificate, ca: authority },
            signal,
          }),
        jobs,
        sessions,
        facts: await gatherFacts(platform.bootId),
        clock,
        log,
      });
      parts.push(connection);
      return new Agent(config.name, connection, parts);
    } catch (error) {
      await disposeAll(parts);
      throw error;
    }
  }

  /** Leaves the controller; jobs and sessions go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#parts);
  }
}

/** What an agent has opened, in that order. Not an `AsyncDisposableStack`: Node 22 has none. */
type Parts = (Disposable | AsyncDisposable)[];

/** The last first; empties the list, so that a second time does nothing. */
async function disposeAll(parts: Parts): Promise<void> {
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
    else part[Symbol.dispose]();
  }
}

function openJobs(
  paths: AgentPaths,
  config: AgentConfig,
  clock: Clock,
  log: Logger,
  sessions: Sessions,
): Promise<Jobs> {
  return Jobs.open({
    directory: paths.jobs,
    hostName: config.name,
    settings: config.settings,
    clock,
    log,
    sessions,
  });
}

/** A host whose own programs cannot reach its agent still serves its controller. */
async function listenLocally(options: LocalServerOptions): Promise<LocalServer | undefined> {
  try {
    return await LocalServer.listen(options);
  } catch (error) {
    const { message } = OutpostError.from(error);
    options.log.warn({ err: error }, `\`outpost-agent job\` will not work on this host: ${message}`);
    return undefined;
  }
}

/** An expired certificate only shows as "refused": say it before. */
function warnOfExpiry(log: Logger, leftMs: number): void {
  if (leftMs <= 0)
    log.error("this host's certificate has expired: join again with `outpost-agent join --force`");
  else if (leftMs < 30 * dayMs)
    log.warn(`this host's certificate expires in ${String(Math.ceil(leftMs / dayMs))} days`);
}
