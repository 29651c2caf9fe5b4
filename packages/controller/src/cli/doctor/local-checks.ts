/** The controller itself, on its own machine. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Systemd } from "@outpost/service";
import {
  type Answer,
  type Check,
  lookAtDisk,
  lookAtModes,
  ok,
  problem,
  skipped,
  warning,
} from "@outpost/service/doctor";
import { readStartSettings } from "../controller-directory.ts";
import { controllerUnit, installedAs } from "../controller-unit.ts";
import { defaultListen, listenText } from "../listen.ts";

/** Whether there is one that we may look at. */
export function isControllerHere(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
    return existsSync(join(directory, "ca.crt"));
  } catch {
    return false;
  }
}

export function localChecks(directory: string): Check[] {
  const secrets = ["ca.key", "ca-incoming.key", "server.key", "catalogue.sqlite"];
  return [
    {
      name: "directory",
      look: () => lookAtModes({ directory, secrets: secrets.map((name) => join(directory, name)) }),
    },
    { name: "disk", look: () => lookAtDisk(directory) },
    { name: "policy file", look: () => policyFile(directory) },
    { name: "service", look: () => service(directory) },
    { name: "listening", look: () => listening(directory) },
  ];
}

async function policyFile(directory: string): Promise<Answer> {
  const file = join(directory, "policy.yaml");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return problem(
      `${file} cannot be read: a controller does not start without its policy`,
      "take it from a backup, or write it again (docs/policy.md)",
    );
  }
  const { checkPolicy } = await import("@outpost/access");
  const [first, ...more] = checkPolicy(text);
  if (first === undefined) return ok(`${file} is a policy`);
  const others = more.length === 0 ? "" : ` (and ${String(more.length)} more)`;
  return problem(
    `${file}:${String(first.line)}:${String(first.column)}: ${first.message}${others}`,
    "`outpost policy check` shows all of it; a controller that runs goes on with the policy before, one that is started does not start",
  );
}

async function service(directory: string): Promise<Answer> {
  if (!Systemd.isRunning) return skipped("this machine does not run systemd");
  const systemd = new Systemd();
  const installed = installedAs(systemd.read(controllerUnit) ?? "");
  if (installed?.directory !== directory) return skipped("this controller is run by hand, and is no service");
  const { active, enabled, restarts, result } = await systemd.show(controllerUnit);
  const data = { unit: controllerUnit, active, enabled, restarts };
  if (active !== "active") {
    return problem(
      `${controllerUnit} is ${active} (${result})`,
      `\`systemctl start ${controllerUnit}\`; \`journalctl -u ${controllerUnit} -n 50\` says why it is not running`,
      data,
    );
  }
  if (enabled !== "enabled") {
    return warning(
      `${controllerUnit} is active, and is not started at the next boot`,
      `\`systemctl enable ${controllerUnit}\``,
      data,
    );
  }
  if (restarts > 0) {
    return warning(
      `${controllerUnit} is active; systemd had to start it again ${String(restarts)} times`,
      `\`journalctl -u ${controllerUnit}\` says what ended it`,
      data,
    );
  }
  return ok(`${controllerUnit} is active and enabled`, data);
}

const listeningTimeoutMs = 3_000;

async function listening(directory: string): Promise<Answer> {
  const listen = (await readStartSettings(directory)).listen ?? defaultListen;
  const host = listen.host === "0.0.0.0" ? "127.0.0.1" : listen.host === "::" ? "::1" : listen.host;
  const at = listenText(listen);
  const isThere = await new Promise<boolean>((resolve) => {
    const socket = connect({ host, port: listen.port });
    socket.setTimeout(listeningTimeoutMs, () => socket.destroy(new Error("no answer")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (isThere) return ok(`something listens at ${at}`);
  return problem(
    `nothing listens at ${at}`,
    `start the controller: \`systemctl start ${controllerUnit}\`, or \`outpost controller start\`; if it was told another address, that is not in ${join(directory, "controller.json")}`,
  );
}
