/**
 * Many real agents in one process: each with its own certificate, connection, gate, policy and audit log, and its own job
 * store. What they share is the process, and what an option says. Takes orders over the channel to its parent
 * (messages.ts), and ends with it.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Agent,
  agentPaths,
  enrol,
  Jobs,
  type JobsOptions,
  parseToken,
  writeConfig,
  writeCredentials,
} from "@outpost/agent";
import { type Facts, HostName } from "@outpost/protocol";
import { pino } from "pino";
import * as v from "valibot";
import { type JobLauncher, Launcher } from "../../packages/agent/src/jobs/launcher.ts";
import { hostPlatform } from "../../packages/agent/src/platform/index.ts";
import { instantLauncher } from "./instant-launcher.ts";
import { MemoryJobs } from "./memory-jobs.ts";
import type { AgentsOptions, Order, Report } from "./messages.ts";
import { sharedChecks } from "./shared-checks.ts";
import { Spawner } from "./spawner.ts";

const log = pino({ level: "fatal" }, pino.destination(2));
/** How many enrol or start at a time: the handshakes are what costs. */
const atATime = 16;

/** As large as those of a real host. */
const factsOf = (name: HostName, index: number): Facts => ({
  platform: process.platform,
  os: "Debian GNU/Linux 13 (trixie)",
  osId: "debian",
  osVersion: "13",
  kernel: "6.12.48+deb13-amd64",
  arch: process.arch,
  hostname: name,
  cpus: 2,
  memoryBytes: 4 * 2 ** 30,
  agentVersion: "0",
  bootId: "fleet",
  disks: [{ path: "/", sizeBytes: 40 * 2 ** 30, freeBytes: 20 * 2 ** 30 }],
  addresses: [`10.${String(index >> 16)}.${String((index >> 8) & 255)}.${String(index & 255)}`],
});

const options = JSON.parse(process.argv[2]!) as AgentsOptions;
const indices = Array.from({ length: options.count }, (_, index) => options.first + index);
const nameOf = (index: number): HostName => v.parse(HostName, `host${String(index)}`);
const checks = sharedChecks();
const spawner = options.launch === "real" && options.store === "real" ? new Spawner() : undefined;
const connected = new Set<Agent>();
const failures: Record<string, number> = {};
const agents: Agent[] = [];

const pathsOf = (name: HostName): ReturnType<typeof agentPaths> => agentPaths(join(options.directory, name));

function launcherOf({ clock, hostName, handed }: JobsOptions, { start }: Spawner): JobLauncher {
  return new Launcher(hostPlatform(), clock, hostName, handed, start);
}

async function enrolOne(index: number, token: string): Promise<void> {
  const name = nameOf(index);
  const facts = factsOf(name, index);
  const paths = pathsOf(name);
  if (existsSync(paths.config)) return;
  await mkdir(paths.directory, { recursive: true });
  const url = options.url;
  const joined = await enrol({ url, token: parseToken(token), name, labels: {}, facts });
  await writeCredentials(paths, joined.credentials);
  // Last: with it the host has joined.
  await writeConfig(paths, { controller: url, host: joined.host, name, labels: {} });
}

/** The controller may have another port than when the host joined. */
async function setController(name: HostName): Promise<void> {
  const paths = pathsOf(name);
  const config = JSON.parse(await readFile(paths.config, "utf8")) as Parameters<typeof writeConfig>[1];
  if (config.controller !== options.url) await writeConfig(paths, { ...config, controller: options.url });
}

async function startOne(index: number): Promise<void> {
  const name = nameOf(index);
  const facts = factsOf(name, index);
  await setController(name);
  const agent = await Agent.start({
    directory: pathsOf(name).directory,
    log,
    checks,
    local: false,
    facts: { current: facts, onChanged: () => () => {} },
    openJobs: (jobs) => {
      if (options.store === "memory") return Promise.resolve(new MemoryJobs(jobs));
      if (spawner !== undefined) return Jobs.open({ ...jobs, launcher: launcherOf(jobs, spawner) });
      const launcher = instantLauncher(jobs.clock, jobs.hostName, hostPlatform().bootId);
      return Jobs.open({ ...jobs, launcher });
    },
  });
  agents.push(agent);
  agent.connection.onState((state) => {
    if (state.name === "connected") connected.add(agent);
    else connected.delete(agent);
    if (state.name !== "waiting") return;
    const what = `${state.error.code}: ${state.error.message.replaceAll(name, "HOST").slice(0, 120)}`;
    failures[what] = (failures[what] ?? 0) + 1;
  });
  await agent.connection.connected();
  connected.add(agent);
}

/** Does `work` for each host, a few at a time. */
async function forEach(work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (let at = next++; at < indices.length; at = next++) await work(indices[at]!);
    }),
  );
}

const report = (message: Report): void => void process.send?.(message);

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "enrol":
      await forEach((index) => enrolOne(index, order.token));
      return report({ kind: "enrolled" });
    case "start":
      await forEach(startOne);
      return report({ kind: "started" });
    case "look":
      return report({ kind: "look", look: { connected: connected.size, failures: { ...failures } } });
    case "forget-failures":
      for (const key of Object.keys(failures)) delete failures[key];
      return;
    default:
      order satisfies never;
  }
}

process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) => report({ kind: "failed", message: String(error) }));
});
process.on("disconnect", () => {
  void Promise.all(agents.map((agent) => agent[Symbol.asyncDispose]())).finally(() => process.exit(0));
});
report({ kind: "ready" });
