/** An agent, put together. The one place that knows all its parts; used by `outpost-agent start`, tests and benchmarks. */
import { type AgentStatus, type Clock, OutpostError, systemClock } from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import type { Logger } from "pino";
import type { Gate } from "./access/gate.ts";
import { HostAccess } from "./access/host-access.ts";
import { type AgentConfig, readConfig } from "./config.ts";
import { Configurations } from "./configurations/index.ts";
import { Connection } from "./connection.ts";
import { type Credentials, readCredentials, settleCredentials, writeCredentials } from "./credentials.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
import { gatherFacts } from "./facts.ts";
import type { HeldJobs } from "./handlers/context.ts";
import { createIdentityAside } from "./identity-worker.ts";
import { Jobs } from "./jobs/index.ts";
import { AgentReport } from "./local/agent-report.ts";
import { LocalServer, type LocalServerOptions } from "./local/local-server.ts";
import { DirectoryLock } from "./lock.ts";
import { hostPlatform } from "./platform/index.ts";
import { Renewal } from "./renewal.ts";
import { Sessions } from "./sessions/sessions.ts";

export interface AgentOptions {
  /** A directory that has joined a controller. */
  readonly directory: string;
  readonly log: Logger;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** The jobs that the agent offers, for tests. Default: those of the directory. The agent does not dispose these. */
  readonly jobs?: HeldJobs;
  /** Uniform in [0, 1), for all that is spread over time. Default `Math.random`. */
  readonly random?: () => number;
}

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
    const { directory, log, clock = systemClock, random = Math.random } = options;
    const paths = agentPaths(directory);
    const config = await readConfig(paths);
    const platform = hostPlatform();
    const parts: Parts = [DirectoryLock.acquire(paths.lock, platform)];
    try {
      await settleCredentials(paths);
      const credentials = await readCredentials(paths);
      const access = await HostAccess.open({ paths, host: config, clock, log });
      parts.push(access);
      const configurations = new Configurations(paths.configurations);
      const sessions = new Sessions({ paths, clock, log, configurations });
      parts.push(sessions);
      const jobs =
        options.jobs ?? (await openJobs(paths, config, clock, log, sessions, configurations, access));
      if (jobs instanceof Jobs && jobs !== options.jobs) parts.push(jobs);
      const gate = access.guard({ jobs, sessions, operators: credentials.operators });
      const renewal = startRenewal({ paths, config, credentials, access, gate, clock, log, random });
      parts.push(renewal);
      const report = new AgentReport(clock);
      const status = (): AgentStatus => report.status;
      const local = await listenLocally({ paths, jobs, gate, hostName: config.name, clock, log, status });
      if (local !== undefined) parts.push(local);
      const connection = new Connection({
        dial: (signal) => {
          const { key, certificate, authority } = renewal.credentials;
          const tls = { key, cert: certificate, ca: authority };
          return dialWebSocket({ url: `${config.controller}/agent`, tls, signal });
        },
        jobs,
        sessions,
        gate,
        renewal,
        facts: await gatherFacts(platform.bootId),
        clock,
        log,
        random,
      });
      parts.push(connection);
      connection.onState((state) => report.entered(state));
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
  configurations: Configurations,
  access: HostAccess,
): Promise<Jobs> {
  return Jobs.open({
    directory: paths.jobs,
    hostName: config.name,
    settings: config.settings,
    clock,
    log,
    sessions,
    configurations,
    handed: paths.handed,
    ended: (job) => access.jobEnded(job),
  });
}

interface RenewalParts {
  readonly paths: AgentPaths;
  readonly config: AgentConfig;
  readonly credentials: Credentials;
  readonly access: HostAccess;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

function startRenewal({ paths, config, credentials, access, gate, ...outside }: RenewalParts): Renewal {
  return new Renewal({
    host: config.host,
    name: config.name,
    credentials,
    createIdentity: createIdentityAside,
    write: (renewed) => writeCredentials(paths, renewed),
    renewed: (message) => access.event("certificate.renewed", message),
    trusted(operators, message) {
      access.event("operators.trusted", message);
      gate.trust(operators);
    },
    ...outside,
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
