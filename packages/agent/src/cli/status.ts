/** `outpost-agent status`: what the disk says, with or without a running agent. */
import { readConfig } from "../config.ts";
import { expiresAt, readCredentials } from "../credentials.ts";
import { agentPaths, defaultAgentDirectory } from "../directory.ts";
import { type Holder, lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { heldJobs, type HeldJob } from "./held-jobs.ts";
import { heldSessions, type HeldSession } from "./held-sessions.ts";

export interface StatusOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

/** What `--output json` prints. Times are ISO 8601. */
interface Status {
  readonly directory: string;
  readonly host: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly controller: string;
  readonly certificate: { readonly expiresAt: string };
  readonly agent: { readonly running: boolean; readonly pid?: number };
  /** The process that owns the sessions' shells; it runs when there are some. */
  readonly sessionHost: { readonly running: boolean; readonly pid?: number };
  readonly jobs: readonly HeldJob[];
  readonly sessions: readonly HeldSession[];
}

/** @throws OutpostError `not_found` when the directory has not joined */
export async function status({ dir, output }: StatusOptions): Promise<void> {
  const found = await readStatus(dir);
  console.log(output === "json" ? JSON.stringify(found, null, 2) : asText(found));
}

async function readStatus(dir: string): Promise<Status> {
  const paths = agentPaths(dir);
  const config = await readConfig(paths);
  const { certificate } = await readCredentials(paths);
  const platform = hostPlatform();
  return {
    directory: paths.directory,
    host: config.host,
    name: config.name,
    labels: config.labels,
    controller: config.controller,
    certificate: { expiresAt: new Date(expiresAt(certificate)).toISOString() },
    agent: running(lockHolder(paths.lock, platform)),
    sessionHost: running(lockHolder(paths.sessionHostLock, platform)),
    jobs: await heldJobs(paths.jobs, platform),
    sessions: await heldSessions(paths.sessions, platform),
  };
}

function running(holder: Holder | undefined): Status["agent"] {
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
    ["agent", agentText(found)],
    ["directory", found.directory],
    ["jobs", countText(found.jobs)],
  ].map(heading);
  const jobs = found.jobs.map(
    ({ job, state, stdout, stderr }) =>
      `  ${job}  ${state.padEnd(10)}  stdout ${String(stdout)} bytes, stderr ${String(stderr)} bytes`,
  );
  const sessions = found.sessions.map(
    ({ session, name, state, shell, operator }) =>
      `  ${session}  ${state.padEnd(10)}  ${name === undefined ? "" : `${name}, `}${shell}, opened by ${operator}`,
  );
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

function agentText({ agent, directory }: Status): string {
  if (agent.running) return `running, pid ${String(agent.pid)}`;
  const dir = directory === defaultAgentDirectory() ? "" : ` --dir ${directory}`;
  return `not running; start it with \`outpost-agent start${dir}\``;
}
