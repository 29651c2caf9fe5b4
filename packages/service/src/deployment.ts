/**
 * Puts a version of a program in force as the service of a unit: the link, the unit's text, a restart, and a look
 * whether it works. When it does not, and there was one before, that can be put back.
 */
import { OutpostError } from "@outpost/protocol";
import type { Program, ProgramVersion } from "./program.ts";
import type { Systemd, UnitState } from "./systemd.ts";

export interface Deployment {
  readonly systemd: Systemd;
  readonly program: Program;
  /** E.g. `outpost-agent.service`. */
  readonly unit: string;
  /** What the unit says from now on. */
  readonly text: string;
  readonly version: ProgramVersion;
  /** Resolves when the started service works. @throws OutpostError when it does not */
  readonly verify: (state: UnitState) => Promise<void>;
}

/** How long a service may take until it is ready, in milliseconds: it takes up what is unfinished first. */
const startTimeoutMs = 60_000;

/** Deploys, and leaves it so when it does not work: systemd goes on trying. @throws OutpostError as `Systemd.started`, `verify` */
export async function deploy({ systemd, program, unit, text, version, verify }: Deployment): Promise<void> {
  const before = (await systemd.show(unit)).pid;
  await program.switchTo(version);
  await systemd.write(unit, text);
  await systemd.enable(unit);
  await systemd.restart(unit);
  await verify(await systemd.started(unit, before, startTimeoutMs));
}

/**
 * Deploys in place of what is in force; when that does not work, what was in force is again, and the new version is gone.
 * @throws OutpostError what went wrong, and what is in force now
 */
export async function replace(deployment: Deployment): Promise<void> {
  const { systemd, program, unit } = deployment;
  const version = program.current;
  const text = systemd.read(unit);
  try {
    await deploy(deployment);
  } catch (error) {
    const failure = OutpostError.from(error);
    if (version === undefined || text === undefined) throw failure;
    throw await goBack(deployment, { version, text }, failure);
  }
  await program.prune();
}

/** @returns what to throw */
async function goBack(
  deployment: Deployment,
  before: Pick<Deployment, "version" | "text">,
  failure: OutpostError,
): Promise<OutpostError> {
  const { program, version: failed } = deployment;
  const say = (message: string): OutpostError =>
    new OutpostError(failure.code, message, { data: failure.data, cause: failure });
  try {
    await deploy({ ...deployment, ...before, verify: async () => {} });
  } catch (error) {
    const { message } = OutpostError.from(error);
    return say(
      `${failed.version} did not work: ${failure.message}\n${before.version.version} is in force again, and does not start either: ${message}`,
    );
  }
  await program.discard(failed);
  return say(
    `${failed.version} did not work; ${before.version.version} is in force again, and runs. ${failure.message}`,
  );
}
