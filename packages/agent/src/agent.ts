/** An agent, put together. The one place that knows all its parts; used by `outpost-agent start`, tests and benchmarks. */
import { type AgentStatus, type Clock, OutpostError, systemClock } from "@outpost/protocol";
import type { SignatureChecks } from "@outpost/access";
import { dialWebSocket } from "@outpost/protocol/websocket";
import type { Logger } from "pino";
import type { Gate } from "./access/gate.ts";
import { HostAccess } from "./access/host-access.ts";
import { type AgentConfig, readConfig } from "./config.ts";
import { Configurations } from "./configurations/index.ts";
import { Connection } from "./connection.ts";
import { type Credentials, readCredentials, settleCredentials, writeCredentials } from "./credentials.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
import { HostFacts, type HostFactsOptions, type TellsFacts } from "./facts/index.ts";
import type { HeldJobs } from "./handlers/context.ts";
import { createIdentityAside } from "./identity-worker.ts";
import { Jobs, type JobsOptions } from "./jobs/index.ts";
import { AgentReport } from "./local/agent-report.ts";
import { LocalServer, type LocalServerOptions } from "./local/local-server.ts";
import { DirectoryLock } from "./lock.ts";
import { beginTextfile } from "./metrics/begin-textfile.ts";
import { hostPlatform } from "./platform/index.ts";
import { Renewal } from "./renewal.ts";
import { Sessions } from "./sessions/sessions.ts";

/** How long a controller may take to answer once it has taken the connection, in milliseconds. Ten thousand agents that come
 * back to it at the same time are let in within half of it. */
const answerTimeoutMs = 60_000;

export interface AgentOptions {
  /** A directory that has joined a controller. */
  readonly directory: string;
  readonly log: Logger;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** The jobs that the agent offers, for tests. Default: those of the directory. The agent does not dispose these. */
  readonly jobs?: HeldJobs;
  /** Opens the jobs of the directory, which the agent disposes. Default `Jobs.open`; the fleet emulator has its own. */
  readonly openJobs?: (options: JobsOptions) => Promise<HeldJobs & AsyncDisposable>;
  /** How signatures are checked. Default: `RequestVerifier`'s; the agents of an emulated fleet share the results. */
  readonly checks?: SignatureChecks;
  /** Whether programs of this host may reach the agent. Default true. An emulated fleet has no descriptors for it. */
  readonly local?: boolean;
  /** What the host says of itself, for tests. Default: gathered from it. */
  readonly facts?: TellsFacts;
  /** Uniform in [0, 1), for all that is spread over time. Default `Math.random`. */
  readonly random?: () => number;
}

export class Agent implements AsyncDisposable {
  /** The host's name. */
  readonly name: string;
  readonly connection: Connection;
  readonly #facts: HostFacts | undefined;
  readonly #parts: Parts;

  private constructor(name: string, connection: Connection, facts: HostFacts | undefined, parts: Parts) {
    this.name = name;
    this.connection = connection;
    this.#facts = facts;
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
      const gathered =
        options.facts === undefined
          ? await gatherFacts(paths, config, { bootId: platform.bootId, clock, log, random })
          : undefined;
      if (gathered !== undefined) parts.push(gathered);
      const facts: TellsFacts = options.facts ?? gathered!;
      const host = { name: config.name, labels: config.labels, facts: () => facts.current };
      const { checks, openJobs = (each) => Jobs.open(each) } = options;
      const access = await HostAccess.open({ paths, host, clock, log, checks });
      parts.push(access);
      const configurations = new Configurations(paths.configurations);
      const sessions = new Sessions({ paths, clock, log, configurations });
      parts.push(sessions);
      const opened =
        options.jobs === undefined
          ? await openJobs(jobsOptions(paths, config, clock, log, sessions, configurations, access))
          : undefined;
      if (opened !== undefined) parts.push(opened);
      const jobs = options.jobs ?? opened!;
      const gate = access.guard({ jobs, sessions, operators: credentials.operators });
      const renewal = startRenewal({ paths, config, credentials, access, gate, clock, log, random });
      parts.push(renewal);
      const report = new AgentReport(clock);
      const status = (): AgentStatus => ({
        ...report.status,
        ...(gathered === undefined ? {} : { facts: gathered.status }),
      });
      const local =
        options.local === false
          ? undefined
          : await listenLocally({ paths, jobs, gate, hostName: config.name, clock, log, status });
      if (local !== undefined) parts.push(local);
      const connection = new Connection({
        dial: (signal) => {
          const { key, certificate, authority } = renewal.credentials;
          const tls = { key, cert: certificate, ca: authority };
          return dialWebSocket({ url: `${config.controller}/agent`, tls, signal, answerTimeoutMs });
        },
        jobs,
        sessions,
        gate,
        renewal,
        facts,
        clock,
        log,
        random,
      });
      parts.push(connection);
      connection.onState((state) => report.entered(state));
      const textfile = beginTextfile({
        paths,
        config,
        report,
        connection,
        jobs,
        sessions,
        renewal,
        clock,
        log,
      });
      if (textfile !== undefined) parts.push(textfile);
      return new Agent(config.name, connection, gathered, parts);
    } catch (error) {
      await disposeAll(parts);
      throw error;
    }
  }

  /** Finds out anew what the host says of itself, and tells the controller if it is something else. */
  async refreshFacts(): Promise<void> {
    await this.#facts?.refresh();
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

function gatherFacts(
  { factFolders: folders, rememberedFacts: remembered }: AgentPaths,
  { factsIntervalMs: intervalMs }: AgentConfig,
  outside: Pick<HostFactsOptions, "bootId" | "clock" | "log" | "random">,
): Promise<HostFacts> {
  return HostFacts.begin({ folders, remembered, intervalMs, ...outside });
}

function jobsOptions(
  paths: AgentPaths,
  config: AgentConfig,
  clock: Clock,
  log: Logger,
  sessions: Sessions,
  configurations: Configurations,
  access: HostAccess,
): JobsOptions {
  return {
    directory: paths.jobs,
    hostName: config.name,
    settings: config.settings,
    clock,
    log,
    sessions,
    configurations,
    handed: paths.handed,
    ended: (job) => access.jobEnded(job),
  };
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
