/**
 * What a configuration makes of a request: as whom it runs, what, where, with which variables and limits; or why not.
 * It decides before anything is made, so a refused request leaves nothing behind.
 */
import {
  type Command,
  ErrorCode,
  type JobSpec,
  OutpostError,
  type Secrets,
  type SessionSpec,
} from "@outpost/protocol";
import { type Account, findAccount, findGroup, ownAccount, type RunAs } from "../platform/index.ts";
import { findAllowed } from "./allow-list.ts";
import type { Configuration, Limits } from "./configuration.ts";
import { isLiteral, isNamed } from "./name-pattern.ts";
import { durationText } from "./quantity.ts";
import { isPassable, isUnsafeVariable } from "./unsafe-variables.ts";

/** What there is of users on this host; tests give their own. */
export interface Users {
  readonly own: Account;
  readonly find: (name: string) => Account | undefined;
  readonly group: (name: string) => number | undefined;
}

export function hostUsers(): Users {
  return { own: ownAccount(), find: findAccount, group: findGroup };
}

/** What every request that was admitted has. */
interface Admitted {
  readonly configuration: string;
  /** Absent: as the agent's user. */
  readonly runAs?: RunAs | undefined;
  /** What the configuration sets and what was asked for, secrets apart. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the home directory of the user. */
  readonly cwd?: string | undefined;
  readonly limits: Limits;
}

export interface AdmittedJob extends Admitted {
  /** An `exec` has the argument vector that is to be executed. */
  readonly command: Command;
  /** What runs shell text. Absolute. */
  readonly shell: string;
  readonly timeoutMs?: number | undefined;
}

export interface AdmittedSession extends Admitted {
  /** A path or a name. Absent: the user's login shell. */
  readonly shell?: string | undefined;
  /** What runs instead of a shell. */
  readonly command?: readonly string[] | undefined;
  readonly idleTimeoutMs?: number | undefined;
}

export interface JobRequest {
  readonly spec: JobSpec;
  readonly secrets?: Secrets | undefined;
  /** By name. */
  readonly operator: string;
}

/** @throws OutpostError `denied`: what is asked for is not what the configuration offers; `start_failed`: no such user */
export function admitJob(
  configuration: Configuration,
  { spec, secrets, operator }: JobRequest,
  users: Users = hostUsers(),
): AdmittedJob {
  const { allow, limits, shell = "/bin/sh" } = configuration;
  checkOperator(configuration, operator);
  if (configuration.command !== undefined)
    throw denied(configuration, "is for sessions that run one command: `outpost enter` opens one");
  const secretNames =
    secrets === undefined ? [] : [...Object.keys(secrets.env), ...Object.keys(secrets.files)];
  const runAs = runAsOf(configuration, spec.user, users);
  const names = [...Object.keys(spec.env), ...secretNames];
  checkVariables(configuration, names, runAs);
  const cwd = workingDirectory(configuration, spec.cwd);
  return {
    configuration: configuration.name,
    runAs,
    env: { ...spec.env, ...configuration.env },
    cwd,
    limits,
    command: allow === undefined ? spec.command : allowedCommand(configuration, spec.command),
    shell,
    timeoutMs: smallest(spec.timeoutMs, limits.timeMs),
  };
}

/** @throws OutpostError as `admitJob`; `limit_exceeded` */
export function admitSession(
  configuration: Configuration,
  { spec, operator }: { readonly spec: SessionSpec; readonly operator: string },
  users: Users = hostUsers(),
): AdmittedSession {
  const { limits, command } = configuration;
  checkOperator(configuration, operator);
  if (configuration.allow !== undefined)
    throw denied(
      configuration,
      "allows certain commands only, and no session: `outpost invoke -- COMMAND` runs one",
    );
  const fixed = command === undefined ? configuration.shell : command[0];
  if (spec.shell !== undefined && fixed !== undefined && spec.shell !== fixed)
    throw denied(configuration, `has a shell of its own, ${fixed}; open the session without --shell`);
  checkIdleTimeout(configuration.name, limits, spec.idleTimeoutMs);
  const runAs = runAsOf(configuration, spec.user, users);
  checkVariables(configuration, Object.keys(spec.env), runAs);
  return {
    configuration: configuration.name,
    runAs,
    env: { ...spec.env, ...configuration.env },
    cwd: workingDirectory(configuration, spec.cwd),
    limits,
    shell: configuration.shell ?? spec.shell,
    command,
    idleTimeoutMs: spec.idleTimeoutMs,
  };
}

/** Whether somebody may use a configuration, and what was opened under it. @throws OutpostError `denied` */
export function checkOperator(configuration: Configuration, operator: string): void {
  const { operators } = configuration;
  if (operators === undefined || isNamed(operators, operator)) return;
  throw denied(configuration, `is not for ${operator}: its operators are ${textOf(operators)}`);
}

/** @throws OutpostError `limit_exceeded` */
export function checkIdleTimeout(name: string, { idleMs }: Limits, asked: number | undefined): void {
  if (asked === undefined || idleMs === undefined || asked <= idleMs) return;
  throw new OutpostError(
    ErrorCode.limitExceeded,
    `an idle time of ${durationText(asked)} is more than configuration ${name} allows, ${durationText(idleMs)} (limits.idle)`,
  );
}

/** @param held how many there are already @throws OutpostError `limit_exceeded` */
export function checkCount(
  what: "jobs" | "sessions",
  name: string,
  { [what]: limit }: Limits,
  held: number,
): void {
  if (limit === undefined || held < limit) return;
  throw new OutpostError(
    ErrorCode.limitExceeded,
    `configuration ${name} has ${String(held)} ${what} already, and its limit (limits.${what}) is ${String(limit)}`,
    { data: { limit: what, value: limit } },
  );
}

function allowedCommand(configuration: Configuration, command: Command): Command {
  if (command.kind === "put" || command.kind === "get")
    throw denied(configuration, "allows certain commands only, and no copying of files");
  if (command.kind !== "exec") {
    const what =
      command.kind === "shell" ? "shell text (-c) could be any of them" : "a script could be any of them";
    throw denied(configuration, `allows certain commands only, and ${what}; give the command behind --`);
  }
  const found = findAllowed(configuration.allow ?? [], command.argv);
  if (!found.allowed) throw denied(configuration, `does not allow that: ${found.reason}`);
  return { kind: "exec", argv: [...found.argv] };
}

/** As whom it runs; `undefined`: as the agent's user. */
function runAsOf(configuration: Configuration, asked: string | undefined, users: Users): RunAs | undefined {
  const { own } = users;
  const usual = configuration.user ?? own.name;
  const name = asked ?? usual;
  const account = name === own.name ? own : users.find(name);
  if (asked !== undefined && asked !== usual) checkUser(configuration, asked, account, usual);
  if (account === undefined) {
    throw new OutpostError(ErrorCode.startFailed, `there is no user '${name}' on this host`);
  }
  const groups = configuration.groups?.map((group) => {
    const gid = users.group(group);
    if (gid === undefined)
      throw new OutpostError(ErrorCode.startFailed, `there is no group '${group}' on this host`);
    return gid;
  });
  if (account.uid === own.uid && groups === undefined) return undefined;
  if (own.uid !== 0) {
    const what = account.uid === own.uid ? "set groups" : `run things as ${name}`;
    throw denied(
      configuration,
      `cannot be used: the agent runs as ${own.name}, and only one that runs as root can ${what}`,
    );
  }
  return { account, groups };
}

function checkUser(
  configuration: Configuration,
  asked: string,
  account: Account | undefined,
  usual: string,
): void {
  const { users } = configuration;
  // Root is meant by nobody who writes `*`.
  const patterns = account?.uid === 0 ? users.filter(isLiteral) : users;
  if (isNamed(patterns, asked)) return;
  const others = users.length === 0 ? "and as nobody else" : `or on request as ${textOf(users)}`;
  const root = account?.uid === 0 && users.length > 0 ? "; root only where it is named" : "";
  throw denied(configuration, `runs things as ${usual} ${others}${root}, so not as ${asked}`);
}

function checkVariables(
  configuration: Configuration,
  names: readonly string[],
  runAs: RunAs | undefined,
): void {
  const { allow, command, env } = configuration;
  // What offers some programs offers those, and no way to others.
  const isNarrow = allow !== undefined || command !== undefined;
  const accepted = configuration.acceptEnv ?? (allow === undefined ? ["*"] : []);
  for (const name of names) {
    if (Object.hasOwn(env, name)) throw denied(configuration, `sets ${name} itself, which nobody else may`);
    if (!isNamed(accepted, name)) {
      const which = accepted.length === 0 ? "no variable may be set" : `only ${textOf(accepted)} may be set`;
      throw denied(configuration, `does not accept the variable ${name}: ${which} (acceptEnv)`);
    }
    if (isNarrow && isUnsafeVariable(name)) {
      throw denied(
        configuration,
        `does not accept the variable ${name}: with it a command that is allowed could be made to run something else`,
      );
    }
    if (runAs !== undefined && !isPassable(name)) {
      throw denied(
        configuration,
        `cannot pass the variable ${name} to another user: its name must be letters, digits and _, and none that shells keep for themselves`,
      );
    }
  }
}

function workingDirectory(
  { allow, command, cwd, ...configuration }: Configuration,
  asked: string | undefined,
): string | undefined {
  // Many programs read files of the directory that they begin in, and do what these say.
  const isFixed = allow !== undefined || command !== undefined;
  if (isFixed && asked !== undefined && asked !== cwd)
    throw denied(configuration, `has a working directory of its own, ${cwd ?? "the user's home"}`);
  return asked ?? cwd;
}

function smallest(...given: (number | undefined)[]): number | undefined {
  const known = given.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function textOf(patterns: readonly string[]): string {
  return patterns.length === 0 ? "nobody" : patterns.join(", ");
}

function denied({ name }: Pick<Configuration, "name">, why: string): OutpostError {
  return new OutpostError(ErrorCode.denied, `the configuration ${name} of this host ${why}`, {
    data: { configuration: name },
  });
}
