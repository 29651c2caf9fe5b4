/** What `install`, `upgrade`, `uninstall` and `status` share: where the service's parts are, and how it is asked. */
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type AgentStatus, ErrorCode, OutpostError } from "@outpost/protocol";
import { Program, quoted, Systemd, waitFor } from "@outpost/service";
import { type AgentPaths, defaultAgentDirectory } from "../directory.ts";
import { AgentClient } from "../local/agent-client.ts";
import { agentUnit, installedAs } from "./agent-unit.ts";

export const defaultPrefix = "/opt/outpost-agent";

/** The package that this program was loaded from; the same from src/ and from dist/. */
export const packageFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

export function agentProgram(prefix: string): Program {
  return new Program({ prefix, command: "outpost-agent", main: "dist/main.js" });
}

/** What a unit of ours says of itself. */
export interface Installed {
  readonly program: Program;
  /** The agent's directory. */
  readonly directory: string;
}

/** `undefined` when there is no unit of ours. */
export function readInstalled(systemd: Systemd): Installed | undefined {
  const found = installedAs(systemd.read(agentUnit) ?? "");
  return found === undefined
    ? undefined
    : { program: agentProgram(found.prefix), directory: found.directory };
}

/** @param what e.g. `outpost-agent install`. @throws OutpostError `denied` */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new OutpostError(
    ErrorCode.denied,
    `${what} changes services of this machine and needs root: run it with sudo. ` +
      "Without root an agent can be run by hand: outpost-agent join, then outpost-agent start",
  );
}

/** @throws OutpostError `not_found` saying what to do on a machine without it */
export function requireSystemd(): Systemd {
  if (Systemd.isRunning) {
    for (const tool of ["systemctl", "systemd-notify"]) requireTool(tool);
    return new Systemd();
  }
  throw new OutpostError(
    ErrorCode.notFound,
    "this machine does not run systemd (there is no /run/systemd/system). Join with `outpost-agent join`, and have your " +
      "service manager run `outpost-agent start` in the foreground, restart it always, and on a stop end that process " +
      "only, not its children: jobs are among them",
  );
}

/** The agent tells systemd by one of them that it is ready: without it, it would never have started. */
function requireTool(name: string): void {
  const folders = (process.env["PATH"] ?? "").split(":");
  if (folders.some((folder) => statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.isFile())) return;
  throw new OutpostError(
    ErrorCode.notFound,
    `${name} is not on the PATH: it belongs to systemd; install that completely`,
  );
}

/** An agent that answers, but is too old to say how it is. */
export const untold = "untold";

/** How long an agent may take to answer on its own host, in milliseconds. */
const askTimeoutMs = 5_000;

/** @returns `undefined` when none runs there, or it does not answer. @throws OutpostError `denied` when it is somebody else's */
export async function askAgent(paths: AgentPaths): Promise<AgentStatus | typeof untold | undefined> {
  const signal = AbortSignal.timeout(askTimeoutMs);
  await using client = new AgentClient({ paths, signal });
  try {
    return await client.ask((agent) => agent.request("agent.status", {}, { signal }));
  } catch (reason) {
    const error = OutpostError.from(reason);
    if (error.code === ErrorCode.methodNotFound) return untold;
    if (error.code === ErrorCode.denied) throw error;
    return undefined;
  }
}

/** How long an agent may take until its controller knows what it holds, in milliseconds: some attempts, while a person
 * waits. */
const connectTimeoutMs = 30_000;

/**
 * Waits until the agent with this pid is connected: it has shown its certificate, and the controller has taken in what it
 * holds.
 * @throws OutpostError `controller_unreachable`, or the code of what went wrong, with the journal's last lines
 */
export async function untilConnected(paths: AgentPaths, systemd: Systemd, pid: number): Promise<AgentStatus> {
  let last: AgentStatus | undefined;
  const connected = await waitFor(
    async () => {
      const status = await askAgent(paths);
      if (status === undefined || status === untold || status.pid !== pid) return undefined;
      last = status;
      return status.connection.state === "connected" ? status : undefined;
    },
    { timeoutMs: connectTimeoutMs },
  );
  if (connected !== undefined) return connected;
  const error = last?.connection.error;
  const seconds = String(connectTimeoutMs / 1000);
  const why = error === undefined ? "" : `: ${error.message}`;
  const lines = await systemd.journal(agentUnit, 8);
  throw new OutpostError(
    ErrorCode.controllerUnreachable,
    `the agent runs, but is not connected after ${seconds} s${why}\nIt goes on trying; see how it stands with ` +
      `\`outpost-agent status\`${quoted(lines, agentUnit)}`,
    { data: { unit: agentUnit, ...(error === undefined ? {} : { reason: error.code }) } },
  );
}

/** ` --dir DIR`, where that is not the default. */
export function dirOption(directory: string): string {
  return directory === defaultAgentDirectory() ? "" : ` --dir ${directory}`;
}
