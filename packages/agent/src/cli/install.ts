/** `outpost-agent install`: makes this machine a host whose agent is a service. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import {
  deploy,
  launchDaemons,
  launchdText,
  type Program,
  type ProgramVersion,
  type Systemd,
} from "@outpost/service";
import { type AgentConfig, readConfig, writeMetricsTextfile } from "../config.ts";
import { parseControllerUrl } from "../controller-url.ts";
import { readCredentials } from "../credentials.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import {
  agentProgram,
  defaultPrefix,
  dirOption,
  packageFolder,
  readInstalled,
  requireRoot,
  requireSystemd,
  untilConnected,
} from "./agent-service.ts";
import { agentUnit, agentUnitText } from "./agent-unit.ts";
import { enrolHost, quarantineNote } from "./join.ts";

export interface InstallOptions {
  readonly controller?: string | undefined;
  readonly token?: string | undefined;
  readonly name?: string | undefined;
  readonly label: readonly string[];
  readonly dir: string;
  /** Default: where it is installed, else `defaultPrefix`. */
  readonly prefix?: string | undefined;
  /** Where the agent writes its metrics. Default: as before, else nowhere. */
  readonly metricsTextfile?: string | undefined;
  /** Prints what the service manager would be given, and does nothing. */
  readonly print?: "systemd" | "launchd" | undefined;
}

/** What the machine is now. */
interface Host {
  readonly name: string;
  readonly controller: string;
  readonly quarantined: boolean;
}

/**
 * Run again, it repairs: what is there stays, what is not is made.
 * @throws OutpostError `denied` without root; `not_found` without systemd; as `enrolHost`; as `Program.add`; what keeps
 * the agent from starting or connecting
 */
export async function install(options: InstallOptions): Promise<void> {
  const directory = resolve(options.dir);
  const paths = agentPaths(directory);
  if (options.print !== undefined)
    return printService(options.print, options.prefix ?? defaultPrefix, directory);
  requireRoot("outpost-agent install");
  if (process.platform === "darwin") return installForLaunchd(options, paths);
  const systemd = requireSystemd();
  const program = programToInstall(systemd, options, directory);
  await refuseOtherAgent(paths, systemd);
  const host = await joinOnce(options, paths);
  const version = await addOnce(program);
  let connectedTo = "";
  const { prefix, launcher } = program;
  await deploy({
    systemd,
    program,
    unit: agentUnit,
    text: agentUnitText({ launcher, prefix, directory }),
    version,
    verify: async ({ pid }) => {
      const { software } = await untilConnected(paths, systemd, pid!);
      connectedTo = software;
    },
  });
  await linkCommand(program);
  await program.prune();
  console.log(
    [
      `${host.name} is connected to ${host.controller}, and its agent (${connectedTo}) is a service of this machine.`,
      `  unit       ${agentUnit}: active, started at every boot, log: journalctl -u ${agentUnit}`,
      `  program    ${version.folder}`,
      `  directory  ${directory}`,
      ...(host.quarantined ? [quarantineNote(host.name)] : []),
    ].join("\n"),
  );
}

/** @throws OutpostError `conflict` when the service of this machine has another directory or prefix */
function programToInstall(systemd: Systemd, options: InstallOptions, directory: string): Program {
  const installed = readInstalled(systemd);
  const prefix = options.prefix === undefined ? undefined : resolve(options.prefix);
  if (installed === undefined) {
    if (!existsSync(systemd.file(agentUnit))) return agentProgram(prefix ?? defaultPrefix);
    throw new OutpostError(
      ErrorCode.conflict,
      `${systemd.file(agentUnit)} was not written by outpost-agent: move it away (its drop-ins may stay), and install again`,
    );
  }
  if (
    installed.directory !== directory ||
    (prefix ?? installed.program.prefix) !== installed.program.prefix
  ) {
    throw new OutpostError(
      ErrorCode.conflict,
      `the service of this machine is in ${installed.program.prefix} with the directory ${installed.directory}; ` +
        "name these, or `outpost-agent uninstall` it first (what it holds stays)",
    );
  }
  return installed.program;
}

/** @throws OutpostError `busy` when an agent that is not the service's runs on the directory: it would lock the service out */
async function refuseOtherAgent(paths: AgentPaths, systemd: Systemd): Promise<void> {
  const holder = lockHolder(paths.lock, hostPlatform());
  if (holder === undefined || holder.pid === (await systemd.show(agentUnit)).pid) return;
  throw new OutpostError(
    ErrorCode.busy,
    `an agent that is not this service's runs on ${paths.directory}: pid ${String(holder.pid)}. ` +
      `Stop it, or the unit that runs it, first; its jobs go on`,
    { data: { pid: holder.pid } },
  );
}

/** Enrols, unless this directory is of a host of that controller already. @throws OutpostError `conflict` when it is another one's */
async function joinOnce(options: InstallOptions, paths: AgentPaths): Promise<Host> {
  const { controller, token, name, label, dir, metricsTextfile } = options;
  const config = await joinedAlready(paths);
  if (config !== undefined) {
    if (controller === undefined || parseControllerUrl(controller) === config.controller) {
      if (metricsTextfile !== undefined) await writeMetricsTextfile(paths, metricsTextfile);
      console.log(
        `${paths.directory} is ${config.name}, a host of ${config.controller}, already: no token is needed.`,
      );
      return { name: config.name, controller: config.controller, quarantined: false };
    }
    throw new OutpostError(
      ErrorCode.conflict,
      `${paths.directory} is ${config.name}, a host of ${config.controller}. To move it to another controller: ` +
        `systemctl stop ${agentUnit}, then outpost-agent join ${controller} --token … --force${dirOption(paths.directory)}, and install again`,
    );
  }
  if (controller === undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "--controller is missing: where is the controller? E.g. --controller wss://controller.example.com:7443",
    );
  }
  const joined = await enrolHost({
    url: controller,
    token,
    name,
    label,
    dir,
    force: false,
    metricsTextfile,
  });
  console.log(`${joined.name} is enrolled at ${joined.controller}.`);
  return joined;
}

/** @throws OutpostError when agent.json is there and not valid */
async function joinedAlready(paths: AgentPaths): Promise<AgentConfig | undefined> {
  if (!existsSync(paths.config)) return undefined;
  const credentials = await readCredentials(paths).catch(() => undefined);
  return credentials === undefined ? undefined : readConfig(paths);
}

/** Nothing to copy when this is the installed program itself. */
async function addOnce(program: Program): Promise<ProgramVersion> {
  const { current } = program;
  if (current?.folder === packageFolder) return current;
  refuseSources();
  return program.add(packageFolder);
}

/** @throws OutpostError `conflict`: what would be copied is `dist/`, which may be of other sources */
export function refuseSources(): void {
  if (!import.meta.url.endsWith(".ts")) return;
  throw new OutpostError(
    ErrorCode.conflict,
    `this agent runs from its sources: run \`pnpm build\`, then ${join(packageFolder, "dist", "main.js")} with the same arguments`,
  );
}

export async function linkCommand(program: Program): Promise<void> {
  const inTheWay = await program.linkCommand();
  if (inTheWay === undefined) return;
  console.log(
    `${inTheWay} is another program's and stays as it is; the installed one is ${program.launcher}`,
  );
}

const launchdLabel = "outpost-agent";

function printService(which: "systemd" | "launchd", prefix: string, directory: string): void {
  const { launcher } = agentProgram(resolve(prefix));
  process.stdout.write(
    which === "systemd"
      ? agentUnitText({ launcher, prefix: resolve(prefix), directory })
      : propertyList(launcher, directory),
  );
}

function propertyList(launcher: string, directory: string): string {
  return launchdText({
    label: launchdLabel,
    command: [launcher, "start", "--dir", directory],
    log: "/var/log/outpost-agent.log",
  });
}

/** Writes what launchd reads at the next boot, and says how to start it now: nobody has run this on macOS yet. */
async function installForLaunchd(options: InstallOptions, paths: AgentPaths): Promise<void> {
  const program = agentProgram(resolve(options.prefix ?? defaultPrefix));
  const host = await joinOnce(options, paths);
  await program.switchTo(await addOnce(program));
  await linkCommand(program);
  const file = join(launchDaemons, `${launchdLabel}.plist`);
  await mkdir(launchDaemons, { recursive: true });
  await writeFile(file, propertyList(program.launcher, paths.directory), { mode: 0o644 });
  console.log(
    [
      `${host.name} is a host of ${host.controller}. Its agent starts at the next boot; start it now with`,
      `  launchctl bootstrap system ${file}`,
      "and see whether it is connected with `outpost-agent status`.",
      ...(host.quarantined ? [quarantineNote(host.name)] : []),
    ].join("\n"),
  );
}
