/** The processes of this host: agent, service, session host, and what the agent writes for others. */
import { stat } from "node:fs/promises";
import { connect } from "node:net";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { Systemd } from "@outpost/service";
import { type Answer, type Check, ok, problem, skipped, warning } from "@outpost/service/doctor";
import { lockHolder } from "../../lock.ts";
import { hostPlatform } from "../../platform/index.ts";
import { agentVersion } from "../../version.ts";
import { askAgent, dirOption, readInstalled, untold } from "../agent-service.ts";
import { agentUnit } from "../agent-unit.ts";
import type { Patient } from "./patient.ts";

export function agentChecks(patient: Patient): Check[] {
  return [
    { name: "service", needs: ["joined"], look: () => service(patient) },
    { name: "agent", needs: ["joined"], look: () => agent(patient) },
    { name: "connection", needs: ["agent"], look: () => connection(patient) },
    { name: "session host", needs: ["joined"], look: () => sessionHost(patient) },
    { name: "metrics", needs: ["agent"], look: () => metrics(patient) },
  ];
}

const log = `\`journalctl -u ${agentUnit} -n 50\``;

async function service({ paths }: Patient): Promise<Answer> {
  if (!Systemd.isRunning) return skipped("this machine does not run systemd");
  const systemd = new Systemd();
  if (readInstalled(systemd)?.directory !== paths.directory) {
    return skipped("this agent is run by hand, and is no service (`outpost-agent install` makes it one)");
  }
  const { active, enabled, restarts, result } = await systemd.show(agentUnit);
  const data = { unit: agentUnit, active, enabled, restarts };
  if (active !== "active") {
    return problem(
      `${agentUnit} is ${active} (${result})`,
      `\`systemctl start ${agentUnit}\`; ${log} says why`,
      data,
    );
  }
  if (enabled !== "enabled") {
    return warning(
      `${agentUnit} is active, and is not started at the next boot`,
      `\`systemctl enable ${agentUnit}\``,
      data,
    );
  }
  if (restarts === 0) return ok(`${agentUnit} is active and enabled`, data);
  return warning(
    `${agentUnit} is active; systemd had to start it again ${String(restarts)} times`,
    `${log} says what ended it`,
    data,
  );
}

async function agent(patient: Patient): Promise<Answer> {
  const { paths } = patient;
  const holder = lockHolder(paths.lock, hostPlatform());
  if (holder === undefined) {
    return problem(
      "no agent runs on this directory",
      `start it: \`systemctl start ${agentUnit}\`, or \`outpost-agent start${dirOption(paths.directory)}\``,
    );
  }
  const pid = String(holder.pid);
  const answer = await askAgent(paths).catch((reason: unknown) => OutpostError.from(reason));
  if (answer instanceof OutpostError) {
    return problem(
      `an agent runs (pid ${pid}), and does not let us ask it: ${answer.message}`,
      "look as its user: sudo",
      {
        code: answer.code,
      },
    );
  }
  if (answer === undefined) {
    return problem(
      `an agent holds the directory (pid ${pid}) and does not answer at ${paths.localSocket}`,
      `it hangs, or has just begun: ${log}; then \`systemctl restart ${agentUnit}\`. Jobs and sessions run on`,
    );
  }
  if (answer === untold) return ok(`an agent of an older version runs, pid ${pid}`);
  patient.status = answer;
  const runs = answer.software.split(" ").at(-1);
  if (runs === agentVersion) return ok(`${answer.software} runs, pid ${pid}`);
  return warning(
    `${answer.software} runs (pid ${pid}), and this is ${agentVersion}`,
    `\`outpost-agent upgrade\` from the new version, or restart the service; jobs and sessions run on`,
  );
}

function connection({ status }: Patient): Answer {
  if (status === undefined) return skipped("the agent does not say");
  const { state, since, error } = status.connection;
  const time = new Date(since).toISOString();
  if (state === "connected") return ok(`connected since ${time}`, { since });
  if (error === undefined)
    return warning(`it is connecting, since ${time}`, "look again in a moment", { state, since });
  return problem(`not connected since ${time}: ${error.message}`, connectionAdvice(error.code), {
    state,
    since,
    code: error.code,
  });
}

function connectionAdvice(code: string): string {
  switch (code) {
    case ErrorCode.denied:
      return "the controller said no, or is not the one that this host knows: `outpost host list` there, and the checks below";
    case ErrorCode.versionMismatch:
      return "upgrade the older side";
    case ErrorCode.busy:
      return "the controller lets hosts in one after another; it is tried again by itself";
    default:
      return "the checks below say how far one gets; it is tried again by itself";
  }
}

const socketTimeoutMs = 3_000;

async function sessionHost({ paths }: Patient): Promise<Answer> {
  const holder = lockHolder(paths.sessionHostLock, hostPlatform());
  if (holder === undefined) return ok("none runs: this host holds no session");
  const pid = String(holder.pid);
  const isThere = await new Promise<boolean>((resolve) => {
    const socket = connect(paths.sessionHostSocket);
    socket.setTimeout(socketTimeoutMs, () => socket.destroy(new Error("no answer")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (isThere) return ok(`it runs, pid ${pid}`);
  return problem(
    `the session host (pid ${pid}) does not answer at ${paths.sessionHostSocket}`,
    `its log is ${paths.sessionHostLog}. To end it with all of its sessions: \`kill ${pid}\`; the next session starts another`,
  );
}

/** Written every 15 s. */
const staleMs = 60_000;

async function metrics({ config }: Patient): Promise<Answer> {
  const { metricsTextfile: file } = config;
  if (file === undefined) return ok("no textfile is asked for (metricsTextfile in agent.json)");
  const found = await stat(file).catch(() => undefined);
  const advice = `the agent's log says why it cannot write ${file}: is its directory there? After a change of agent.json the agent has to be restarted`;
  if (found === undefined) return problem(`${file} is not there`, advice);
  if (Date.now() - found.mtimeMs > staleMs)
    return problem(`${file} is old: of ${found.mtime.toISOString()}`, advice);
  return ok(`${file} is written`);
}
