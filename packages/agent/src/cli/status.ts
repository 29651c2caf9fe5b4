/** `outpost-agent status`: what the disk says, with or without a running agent. */
import { readConfig } from "../config.ts";
import { expiresAt, readCredentials } from "../credentials.ts";
import { agentPaths, defaultAgentDirectory } from "../directory.ts";
import { lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { heldJobs, type HeldJob } from "./held-jobs.ts";

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
  readonly jobs: readonly HeldJob[];
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
  const holder = lockHolder(paths.lock, platform);
  return {
    directory: paths.directory,
    host: config.host,
    name: config.name,
    labels: config.labels,
    controller: config.controller,
    certificate: { expiresAt: new Date(expiresAt(certificate)).toISOString() },
    agent: holder === undefined ? { running: false } : { running: true, pid: holder.pid },
    jobs: await heldJobs(paths.jobs, platform),
  };
}

const dayMs = 24 * 60 * 60 * 1000;

function asText(found: Status): string {
  const labels = Object.entries(found.labels).map(([key, value]) => `${key}=${value}`);
  const lines = [
    ["host", `${found.name} (${found.host})`],
    ["labels", labels.length === 0 ? "none" : labels.join(" ")],
    ["controller", found.controller],
    ["certificate", certificateText(Date.parse(found.certificate.expiresAt) - Date.now(), found)],
    ["agent", agentText(found)],
    ["directory", found.directory],
    ["jobs", found.jobs.length === 0 ? "none" : String(found.jobs.length)],
  ].map(([key, value]) => `${key!.padEnd(12)}${value!}`);
  for (const { job, state, stdout, stderr } of found.jobs) {
    lines.push(
      `  ${job}  ${state.padEnd(10)}  stdout ${String(stdout)} bytes, stderr ${String(stderr)} bytes`,
    );
  }
  return lines.join("\n");
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
