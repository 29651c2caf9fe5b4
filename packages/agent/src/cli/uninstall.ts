/** `outpost-agent uninstall`: takes the service away; with `--purge` everything that the host holds, too. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { type Systemd, waitFor } from "@outpost/service";
import { compileCacheFolder } from "@outpost/service/compile-cache";
import { readConfig } from "../config.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { AgentClient } from "../local/agent-client.ts";
import { lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { dirOption, type Installed, readInstalled, requireRoot, requireSystemd } from "./agent-service.ts";
import { agentUnit } from "./agent-unit.ts";
import { heldJobs } from "./held-jobs.ts";
import { heldSessions } from "./held-sessions.ts";

export interface UninstallOptions {
  /** Also what the host holds: jobs, sessions, identity, logs. */
  readonly purge: boolean;
  /** Although jobs run: without `purge` they run on, with it they are stopped. */
  readonly force: boolean;
}

/** How long jobs and the session host may take to end, in milliseconds. */
const endTimeoutMs = 30_000;
/** How long a job gets between SIGTERM and SIGKILL, in milliseconds. */
const graceMs = 5_000;

/** @throws OutpostError `not_found` when there is no service; `busy` naming what runs, without `force` */
export async function uninstall({ purge, force }: UninstallOptions): Promise<void> {
  requireRoot("outpost-agent uninstall");
  const systemd = requireSystemd();
  const { program, directory } = requireInstalled(systemd);
  const paths = agentPaths(directory);
  const running = await whatRuns(paths);
  if (running.length > 0 && !force) throw stillRunning(running, purge);
  const name = await hostName(paths);
  if (purge) await stopJobs(paths);
  await systemd.disable(agentUnit);
  if (purge) await endSessionHost(paths);
  await systemd.remove(agentUnit);
  const left = await program.remove();
  if (purge) await removeDirectories(paths);
  console.log(
    [
      `${agentUnit} is stopped and gone, and so is the program in ${program.prefix}.`,
      ...left.map(
        (folder) => `${folder} stays: a session still runs from it. Remove it when that has ended.`,
      ),
      ...(purge ? [`${directory} is gone, too.`] : keptText(paths, running)),
      `The controller still knows ${name}: outpost host remove ${name}`,
    ].join("\n"),
  );
}

function requireInstalled(systemd: Systemd): Installed {
  const installed = readInstalled(systemd);
  if (installed !== undefined) return installed;
  throw new OutpostError(
    ErrorCode.notFound,
    "the agent is no service of this machine: there is nothing to uninstall",
  );
}

/** A line for each running job and live session. */
async function whatRuns(paths: AgentPaths): Promise<readonly string[]> {
  const platform = hostPlatform();
  const jobs = (await heldJobs(paths.jobs, platform))
    .filter(({ state }) => state === "running")
    .map(({ job }) => `job ${job}`);
  const sessions = (await heldSessions(paths.sessions, platform))
    .filter(({ state }) => state === "live")
    .map(({ session, name, operator }) => `session ${name ?? session}, opened by ${operator}`);
  return [...jobs, ...sessions];
}

function stillRunning(running: readonly string[], purge: boolean): OutpostError {
  const what = purge
    ? "stop and remove them"
    : "leave them running without an agent (a later install takes them up)";
  return new OutpostError(
    ErrorCode.busy,
    `this host still runs:\n${running.map((line) => `  ${line}`).join("\n")}\nWait for their end, or ${what} with --force`,
    { data: { running } },
  );
}

function keptText({ directory }: AgentPaths, running: readonly string[]): readonly string[] {
  return [
    `${directory} stays, with this host's identity and what jobs have written: \`outpost-agent install${dirOption(directory)}\` takes it up again.`,
    ...(running.length === 0
      ? []
      : ["Still running, now without an agent:", ...running.map((line) => `  ${line}`)]),
  ];
}

async function hostName(paths: AgentPaths): Promise<string> {
  return readConfig(paths).then(
    ({ name }) => name,
    () => "this host",
  );
}

/** Asks the agent: it knows every process of a job. @throws OutpostError when there are some and it does not answer */
async function stopJobs(paths: AgentPaths): Promise<void> {
  const running = (await heldJobs(paths.jobs, hostPlatform())).filter(({ state }) => state === "running");
  if (running.length === 0) return;
  const signal = AbortSignal.timeout(endTimeoutMs);
  await using client = new AgentClient({ paths, signal });
  try {
    for (const { job } of running) {
      // Of our own reading: the directory's name is the id.
      await client.ask((agent) => agent.request("job.stop", { job, operator: "root", graceMs }, { signal }));
    }
  } catch (cause) {
    throw new OutpostError(
      ErrorCode.busy,
      `the agent could not stop its jobs (${OutpostError.from(cause).message}); start it (systemctl start ${agentUnit}), ` +
        "or end them yourself, and try again",
      { cause },
    );
  }
  await untilGone(async () =>
    (await heldJobs(paths.jobs, hostPlatform())).every(({ state }) => state !== "running"),
  );
}

async function endSessionHost(paths: AgentPaths): Promise<void> {
  const platform = hostPlatform();
  const holder = lockHolder(paths.sessionHostLock, platform);
  if (holder === undefined) return;
  process.kill(holder.pid, "SIGTERM");
  await untilGone(async () => lockHolder(paths.sessionHostLock, platform) === undefined);
}

async function untilGone(isGone: () => Promise<boolean>): Promise<void> {
  const gone = await waitFor(async () => ((await isGone()) ? true : undefined), { timeoutMs: endTimeoutMs });
  if (gone === undefined) {
    throw new OutpostError(
      ErrorCode.timeout,
      "what was stopped has not ended in time; see `outpost-agent status`",
    );
  }
}

async function removeDirectories({ directory, sockets, run }: AgentPaths): Promise<void> {
  // The sockets of a directory with a long path are elsewhere.
  if (sockets !== run && existsSync(sockets)) await rm(sockets, { recursive: true, force: true });
  await rm(directory, { recursive: true, force: true });
  await rm(compileCacheFolder(), { recursive: true, force: true });
}
