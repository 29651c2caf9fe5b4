/** `outpost-agent upgrade`, run from the new program: puts that in force, or leaves the old one in force. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { replace, type Program, type Systemd } from "@outpost/service";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { hostPlatform } from "../platform/index.ts";
import { agentVersion, software } from "../version.ts";
import {
  askAgent,
  dirOption,
  packageFolder,
  readInstalled,
  requireRoot,
  requireSystemd,
  untilConnected,
  untold,
} from "./agent-service.ts";
import { agentUnit, agentUnitText } from "./agent-unit.ts";
import { heldJobs } from "./held-jobs.ts";
import { heldSessions } from "./held-sessions.ts";
import { linkCommand, refuseSources } from "./install.ts";

export interface UpgradeOptions {
  /** Only says what would happen. */
  readonly check: boolean;
}

/** What an upgrade would find and do. */
interface Plan {
  readonly systemd: Systemd;
  readonly program: Program;
  readonly paths: AgentPaths;
  /** What the unit is to say. */
  readonly text: string;
  /** The installed version; `unknown` when its files are damaged. */
  readonly from: string;
  /** Whether the agent is connected now: then the new one must be, too. */
  readonly wasConnected: boolean;
  readonly jobs: number;
  readonly sessions: number;
}

/**
 * Jobs and sessions run on.
 * @throws OutpostError `not_found` when there is no service; what keeps the new version from working, which is gone then
 */
export async function upgrade({ check }: UpgradeOptions): Promise<void> {
  if (!check) requireRoot("outpost-agent upgrade");
  const plan = await makePlan(requireSystemd());
  if (check) return console.log(asText(plan));
  refuseSources();
  const { systemd, program, paths, text, from, wasConnected } = plan;
  const version = await program.add(packageFolder);
  await replace({
    systemd,
    program,
    unit: agentUnit,
    text,
    version,
    verify: ({ pid }) => verify(plan, pid!),
  });
  await linkCommand(program);
  console.log(
    `${agentVersion} is in force in place of ${from}${wasConnected ? ", and connected" : ", and runs"}. ${keptText(plan)}`,
  );
  if (!wasConnected) {
    console.log(
      `It was not connected before, and this has not waited for it: outpost-agent status${dirOption(paths.directory)}`,
    );
  }
}

/** @throws OutpostError `not_found` when there is no service; `conflict` when this is the installed program itself */
async function makePlan(systemd: Systemd): Promise<Plan> {
  const installed = readInstalled(systemd);
  if (installed === undefined) {
    throw new OutpostError(
      ErrorCode.notFound,
      "the agent is no service of this machine: there is nothing to upgrade; see `outpost-agent install --help`",
    );
  }
  const { program, directory } = installed;
  if (program.current?.folder === packageFolder) {
    throw new OutpostError(
      ErrorCode.conflict,
      `this is the installed program itself (${agentVersion}): run \`upgrade\` of the new one, e.g. ./node_modules/.bin/outpost-agent upgrade`,
    );
  }
  const paths = agentPaths(directory);
  const platform = hostPlatform();
  const status = await askAgent(paths);
  const jobs = await heldJobs(paths.jobs, platform);
  const sessions = await heldSessions(paths.sessions, platform);
  const { launcher, prefix, current } = program;
  return {
    systemd,
    program,
    paths,
    text: agentUnitText({ launcher, prefix, directory }),
    from: current?.version ?? "unknown",
    wasConnected: typeof status === "object" && status.connection.state === "connected",
    jobs: jobs.filter(({ state }) => state === "running").length,
    sessions: sessions.filter(({ state }) => state === "live").length,
  };
}

/** @throws OutpostError when the new version does not do what the old one did */
async function verify({ wasConnected, paths, systemd }: Plan, pid: number): Promise<void> {
  const status = wasConnected ? await untilConnected(paths, systemd, pid) : await askAgent(paths);
  const isNew = status !== undefined && status !== untold && status.software === software;
  if (isNew) return;
  throw new OutpostError(
    ErrorCode.conflict,
    `what runs now is not ${software}: it does not answer, or says that it is something else`,
  );
}

function asText(plan: Plan): string {
  const { program, systemd, from, text, wasConnected } = plan;
  const unit = systemd.read(agentUnit) === text ? "stays as it is" : "would be rewritten (drop-ins stay)";
  return [
    `installed  ${from} (${program.current?.folder ?? program.prefix})`,
    `new        ${agentVersion} (${packageFolder}), with Node ${process.version}`,
    `unit       ${agentUnit} ${unit}`,
    `agent      would be restarted, and the upgrade taken back unless the new one ${wasConnected ? "connects" : "runs (it is not connected now)"}`,
    keptText(plan),
  ].join("\n");
}

function keptText({ jobs, sessions }: Plan): string {
  if (jobs + sessions === 0) return "No job and no session runs.";
  const count = (number: number, what: string): string =>
    `${String(number)} ${what}${number === 1 ? "" : "s"}`;
  return `${count(jobs, "running job")} and ${count(sessions, "live session")} go on.`;
}
