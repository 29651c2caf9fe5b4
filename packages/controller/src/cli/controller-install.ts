/** `outpost controller install`: makes the controller a service of this machine, or puts this version in its place. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { type Program, type ProgramVersion, replace, type Systemd } from "@outpost/service";
import type { OutputFormat } from "./command.ts";
import { readStartSettings, writeStartSettings } from "./controller-directory.ts";
import { identityText, type InitDocument, setUp } from "./controller-init.ts";
import {
  controllerProgram,
  defaultPrefix,
  packageFolder,
  readInstalled,
  requireSystemd,
} from "./controller-service.ts";
import { controllerUnit, controllerUnitText, controllerUser } from "./controller-unit.ts";
import { defaultListen, type Listen, listenText } from "./listen.ts";
import type { MetricsOffer } from "./metrics-option.ts";
import { print } from "./render/records.ts";
import { ensureUser, giveTo } from "./service-user.ts";

export interface InstallOptions {
  readonly directory: string;
  /** Default: as before, else `defaultListen`. */
  readonly listen: Listen | undefined;
  /** Default: as before, else off. */
  readonly metrics: MetricsOffer | undefined;
  readonly names: readonly string[];
  readonly operator: string | undefined;
  /** What the first operator's context is to be called. */
  readonly context: string | undefined;
  readonly force: boolean;
  /** Default: where it is installed, else `defaultPrefix`. */
  readonly prefix: string | undefined;
  /** Prints the unit, and does nothing. */
  readonly print: boolean;
  readonly output: OutputFormat;
}

/**
 * Run again, it repairs; run from another version, it puts that in place, or the old one back when it does not start.
 * @returns the exit code. @throws OutpostError `denied` without root; `not_found` without systemd; as `controller init`
 */
export async function install(options: InstallOptions): Promise<number> {
  const { directory, output } = options;
  if (options.print) return printUnit(options);
  const systemd = requireSystemd("outpost controller install");
  const program = programToInstall(systemd, options);
  await ensureUser(controllerUser);
  const created = await initOnce(options);
  await writeStartSettings(directory, { listen: options.listen, metrics: options.metrics });
  await giveTo(`${controllerUser}:${controllerUser}`, directory);
  const listen = (await readStartSettings(directory)).listen ?? defaultListen;
  const version = await addOnce(program);
  const { launcher, prefix } = program;
  await replace({
    systemd,
    program,
    unit: controllerUnit,
    text: controllerUnitText({ launcher, prefix, directory, port: listen.port }),
    version,
    // Ready is when it listens, and it says so itself.
    verify: async () => {},
  });
  const inTheWay = await program.linkCommand();
  const document = {
    unit: controllerUnit,
    version: version.version,
    program: version.folder,
    directory,
    listen: listenText(listen),
    user: controllerUser,
    ...(created === undefined
      ? {}
      : { fingerprint: created.fingerprint, contextDirectory: created.contextDirectory }),
    ...(inTheWay === undefined ? {} : { inTheWay }),
  };
  await print(output, { json: document, text: () => asText(document, created) });
  return 0;
}

/** @throws OutpostError `conflict` when the service of this machine has another directory or prefix, or is not ours */
function programToInstall(systemd: Systemd, { directory, prefix }: InstallOptions): Program {
  const installed = readInstalled(systemd);
  const asked = prefix === undefined ? undefined : resolve(prefix);
  if (installed === undefined) {
    if (!existsSync(systemd.file(controllerUnit))) return controllerProgram(asked ?? defaultPrefix);
    throw new OutpostError(
      ErrorCode.conflict,
      `${systemd.file(controllerUnit)} was not written by outpost: move it away (its drop-ins may stay), and install again`,
    );
  }
  if (installed.directory !== directory || (asked ?? installed.program.prefix) !== installed.program.prefix) {
    throw new OutpostError(
      ErrorCode.conflict,
      `the controller of this machine is in ${installed.program.prefix} with the directory ${installed.directory}; ` +
        "name these, or `outpost controller uninstall` it first (its directory stays)",
    );
  }
  return installed.program;
}

/** Sets the controller up, unless there is one. The first operator is who called sudo, not root. */
async function initOnce(options: InstallOptions): Promise<InitDocument | undefined> {
  const { directory, listen = defaultListen, metrics, names, operator, context, force } = options;
  // Without the second one it is of version 0.1, to which `setUp` adds what is missing.
  if (["ca.crt", "operators.crt"].every((name) => existsSync(join(directory, name)))) return undefined;
  const caller = await sudoCaller();
  // `os.homedir()` looks here; sudo may have left it root's.
  if (caller !== undefined) process.env["HOME"] = caller.home;
  const own = join(homedir(), ".config");
  const isFirst = !existsSync(own);
  const created = await setUp({
    directory,
    listen,
    metrics,
    names,
    operator: operator ?? caller?.name,
    context,
    force,
  });
  if (caller === undefined) return created;
  const isBelow = created.contextDirectory.startsWith(`${own}/`);
  const made = isFirst ? own : join(own, "outpost");
  await giveTo(caller.owner, isBelow ? made : created.contextDirectory);
  return created;
}

interface Caller {
  readonly name: string;
  /** `uid:gid`. */
  readonly owner: string;
  readonly home: string;
}

/** Who called sudo, if anybody did. */
async function sudoCaller(): Promise<Caller | undefined> {
  const { SUDO_USER: name, SUDO_UID: uid, SUDO_GID: gid } = process.env;
  if (name === undefined || uid === undefined || gid === undefined || uid === "0") return undefined;
  const { stdout } = await promisify(execFile)("getent", ["passwd", uid]);
  const home = stdout.split(":")[5];
  return home === undefined ? undefined : { name, owner: `${uid}:${gid}`, home };
}

/** Nothing to copy when this is the installed program itself. @throws OutpostError `conflict` when it runs from its sources */
async function addOnce(program: Program): Promise<ProgramVersion> {
  const { current } = program;
  if (current?.folder === packageFolder) return current;
  if (!import.meta.url.endsWith(".ts")) return program.add(packageFolder);
  throw new OutpostError(
    ErrorCode.conflict,
    `this outpost runs from its sources: run \`pnpm build\`, then ${join(packageFolder, "dist/cli/main.js")} with the same arguments`,
  );
}

async function printUnit({ prefix, directory, listen = defaultListen }: InstallOptions): Promise<number> {
  const program = controllerProgram(resolve(prefix ?? defaultPrefix));
  const { launcher } = program;
  process.stdout.write(
    controllerUnitText({ launcher, prefix: program.prefix, directory, port: listen.port }),
  );
  return 0;
}

interface InstallDocument {
  readonly unit: string;
  readonly version: string;
  readonly program: string;
  readonly directory: string;
  readonly listen: string;
  readonly user: string;
  readonly inTheWay?: string;
}

function asText(done: InstallDocument, created: InitDocument | undefined): string {
  const { unit, version, program, directory, listen, user, inTheWay } = done;
  return [
    `The controller (${version}) listens at ${listen}, and is a service of this machine.`,
    `  unit       ${unit}: active, started at every boot, log: journalctl -u ${unit}`,
    `  program    ${program}`,
    `  directory  ${directory}, of the user ${user}`,
    ...(inTheWay === undefined
      ? []
      : [`${inTheWay} is another program's and stays as it is; the installed one is in ${program}/bin`]),
    ...(created === undefined
      ? []
      : [
          ...identityText(created),
          "",
          "Next:",
          "  outpost token create",
          `  outpost-agent install --controller ${created.reach} --token …     # on a host`,
        ]),
  ].join("\n");
}
