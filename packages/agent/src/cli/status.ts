/** `outpost-agent status`: what the disk, the running agent and the machine's service manager say. */
import { type AgentStatus, OutpostError } from "@outpost/protocol";
import { Systemd } from "@outpost/service";
import { readConfig } from "../config.ts";
import { expiresAt, readCredentials } from "../credentials.ts";
import { agentPaths } from "../directory.ts";
import { type Holder, lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { askAgent, dirOption, readInstalled, untold } from "./agent-service.ts";
import { agentUnit } from "./agent-unit.ts";
import { heldJobs, type HeldJob } from "./held-jobs.ts";
import { heldSessions, type HeldSession } from "./held-sessions.ts";
import { type AccessStatus, accessStatus, operatorsText, policyText } from "./status-access.ts";

export interface StatusOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

/** What `--output json` prints. Times are ISO 8601. */
interface Status extends AccessStatus {
  readonly directory: string;
  readonly host: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly controller: string;
  readonly certificate: { readonly expiresAt: string };
  readonly agent: Running & {
    /** The version that runs; absent when the agent does not say. */
    readonly software?: string;
    readonly startedAt?: string;
  };
  /** How the running agent says that it is connected; absent when none runs, or it does not say. */
  readonly connection?: Connection;
  /** What its facts.d gave; absent when none runs, or it is too old to say. */
  readonly facts?: FactsStatus;
  /** Absent when the agent of this directory is no service of this machine. */
  readonly service?: Service;
  /** The process that owns the sessions' shells; it runs when there are some. */
  readonly sessionHost: Running;
  readonly jobs: readonly HeldJob[];
  readonly sessions: readonly HeldSession[];
}

interface Running {
  readonly running: boolean;
  readonly pid?: number;
}

interface Connection {
  readonly state: AgentStatus["connection"]["state"];
  readonly since: string;
  readonly error?: { readonly code: string; readonly message: string };
}

interface FactsStatus {
  readonly gatheredAt?: string;
  readonly custom: number;
  readonly problems: readonly { readonly file: string; readonly message: string }[];
}

/** As systemd tells it. */
interface Service {
  readonly unit: string;
  /** `active`, `activating`, `failed`, … */
  readonly active: string;
  /** `enabled`: it is started at every boot. */
  readonly enabled: string;
  /** When it became active, as systemd writes it. */
  readonly since: string;
  /** How often systemd has started it again by itself since then. */
  readonly restarts: number;
  /** The version that starts next; `unknown` when its files are damaged. */
  readonly installed: string;
  readonly prefix: string;
}

/** @throws OutpostError `not_found` when the directory has not joined */
export async function status({ dir, output }: StatusOptions): Promise<void> {
  const found = await readStatus(dir);
  console.log(output === "json" ? JSON.stringify(found, null, 2) : asText(found));
}

async function readStatus(dir: string): Promise<Status> {
  const paths = agentPaths(dir);
  const config = await readConfig(paths);
  const { certificate, operators } = await readCredentials(paths);
  const platform = hostPlatform();
  const service = await readService(paths.directory);
  const answer = await askAgent(paths).catch((error: unknown) => OutpostError.from(error));
  const told = answer instanceof OutpostError || answer === untold ? undefined : answer;
  return {
    directory: paths.directory,
    host: config.host,
    name: config.name,
    labels: config.labels,
    controller: config.controller,
    certificate: { expiresAt: new Date(expiresAt(certificate)).toISOString() },
    ...accessStatus(paths, operators),
    agent: {
      ...running(lockHolder(paths.lock, platform)),
      ...(told === undefined
        ? {}
        : { software: told.software, startedAt: new Date(told.startedAt).toISOString() }),
    },
    ...(told === undefined ? {} : { connection: connectionOf(told) }),
    ...(told?.facts === undefined ? {} : { facts: factsOf(told.facts) }),
    ...(service === undefined ? {} : { service }),
    sessionHost: running(lockHolder(paths.sessionHostLock, platform)),
    jobs: await heldJobs(paths.jobs, platform),
    sessions: await heldSessions(paths.sessions, platform),
  };
}

function connectionOf({ connection: { state, since, error } }: AgentStatus): Connection {
  const why = error === undefined ? {} : { error: { code: error.code, message: error.message } };
  return { state, since: new Date(since).toISOString(), ...why };
}

function factsOf({ gatheredAt, ...facts }: NonNullable<AgentStatus["facts"]>): FactsStatus {
  return {
    ...(gatheredAt === undefined ? {} : { gatheredAt: new Date(gatheredAt).toISOString() }),
    ...facts,
  };
}

/** The service of this directory, if systemd has one. */
async function readService(directory: string): Promise<Service | undefined> {
  if (!Systemd.isRunning) return undefined;
  const systemd = new Systemd();
  const installed = readInstalled(systemd);
  if (installed?.directory !== directory) return undefined;
  const { active, enabled, since, restarts } = await systemd.show(agentUnit);
  const { current, prefix } = installed.program;
  return {
    unit: agentUnit,
    active,
    enabled,
    since,
    restarts,
    installed: current?.version ?? "unknown",
    prefix,
  };
}

function running(holder: Holder | undefined): Running {
  return holder === undefined ? { running: false } : { running: true, pid: holder.pid };
}

const dayMs = 24 * 60 * 60 * 1000;

function asText(found: Status): string {
  const labels = Object.entries(found.labels).map(([key, value]) => `${key}=${value}`);
  const summary = [
    ["host", `${found.name} (${found.host})`],
    ["labels", labels.length === 0 ? "none" : labels.join(" ")],
    ["controller", found.controller],
    ["certificate", certificateText(Date.parse(found.certificate.expiresAt) - Date.now(), found)],
    ["operators", operatorsText(found)],
    ["policy", policyText(found)],
    ["agent", agentText(found)],
    ["connection", connectionText(found)],
    ["service", serviceText(found.service)],
    ["facts", factsText(found)],
    ["version", versionText(found)],
    ["directory", found.directory],
    ["jobs", countText(found.jobs)],
  ].map(heading);
  const problems = (found.facts?.problems ?? []).map(({ file, message }) => `  ${file} ${message}`);
  const jobs = found.jobs.map(
    ({ job, state, stdout, stderr }) =>
      `  ${job}  ${state.padEnd(10)}  stdout ${String(stdout)} bytes, stderr ${String(stderr)} bytes`,
  );
  const sessions = found.sessions.map(
    ({ session, name, state, shell, operator }) =>
      `  ${session}  ${state.padEnd(10)}  ${name === undefined ? "" : `${name}, `}${shell}, opened by ${operator}`,
  );
  const at = summary.findIndex((line) => line.startsWith("facts "));
  summary.splice(at + 1, 0, ...problems);
  return [...summary, ...jobs, heading(["sessions", sessionsText(found)]), ...sessions].join("\n");
}

function heading([key, value]: readonly string[]): string {
  return `${key!.padEnd(12)}${value!}`;
}

function countText(held: readonly unknown[]): string {
  return held.length === 0 ? "none" : String(held.length);
}

function sessionsText({ sessions, sessionHost }: Status): string {
  const host = sessionHost.running ? `, in the session host, pid ${String(sessionHost.pid)}` : "";
  return `${countText(sessions)}${host}`;
}

function certificateText(leftMs: number, { certificate }: Status): string {
  const day = certificate.expiresAt.slice(0, 10);
  if (leftMs <= 0) return `expired on ${day}: join again with \`outpost-agent join --force\``;
  return `valid until ${day} (${String(Math.floor(leftMs / dayMs))} days)`;
}

function agentText({ agent, directory, service }: Status): string {
  if (agent.running) {
    const started = agent.startedAt === undefined ? "" : `, since ${timeText(agent.startedAt)}`;
    return `running, pid ${String(agent.pid)}${started}`;
  }
  if (service !== undefined) return `not running; start it with \`systemctl start ${service.unit}\``;
  return `not running; start it with \`outpost-agent start${dirOption(directory)}\``;
}

function connectionText({ agent, connection }: Status): string {
  if (!agent.running) return "none: no agent runs";
  if (connection === undefined) return "unknown: the agent does not say (too old, hung, or another user's)";
  const { state, since, error } = connection;
  if (state === "connected") return `connected since ${timeText(since)}`;
  const why = error === undefined ? "" : `: ${error.message}`;
  return `not connected since ${timeText(since)} (${state})${why}`;
}

function factsText({ facts }: Status): string {
  if (facts === undefined) return "see `outpost-agent facts`";
  const { gatheredAt, custom, problems } = facts;
  const from = gatheredAt === undefined ? "facts.d runs" : `facts.d at ${timeText(gatheredAt)}`;
  const wrong =
    problems.length === 0 ? "" : `; ${String(problems.length)} of its files cannot be used as they are:`;
  return `${from}, ${String(custom)} of its facts are told${wrong}`;
}

function serviceText(service: Service | undefined): string {
  if (service === undefined) return "none: this agent is run by hand (`outpost-agent install` makes it one)";
  const { unit, active, enabled, since, restarts } = service;
  const from = since === "" ? "" : ` since ${since}`;
  const again = restarts === 0 ? "" : `, started again ${String(restarts)} times by systemd`;
  return `${unit}: ${active}${from}, ${enabled}${again}`;
}

/** Which version runs, and which one the next start is of. */
function versionText({ agent, service }: Status): string {
  const runs = agent.software?.split(" ").at(-1);
  const installed = service?.installed;
  if (runs === undefined) return installed === undefined ? "unknown" : `${installed} is installed`;
  if (installed === undefined || installed === runs) return runs;
  return `${runs} runs, ${installed} is installed: it starts with the next restart of the service`;
}

/** To the second. */
function timeText(iso: string): string {
  return `${iso.slice(0, 19).replace("T", " ")} UTC`;
}
