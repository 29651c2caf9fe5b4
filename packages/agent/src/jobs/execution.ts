/**
 * What is executed for a job: the program with what stands in front of it, its environment, and the descriptors that it
 * inherits.
 *
 *     wrapper ─▶ limits ─▶ program                                      as the agent's user
 *     wrapper ─▶ limits ─▶ setpriv ─▶ sh: cd, variables ─▶ program       as another: from setpriv on
 *
 * Everything in front of setpriv is the agent's user, root perhaps, so it must not see a variable of the job's: a dynamic
 * loader or a shell would take code from one (LD_PRELOAD, BASH_FUNC_…). They come by a descriptor, and a shell that is
 * that user already sets them. It changes directory, too: root may enter what that user may not.
 */
import { closeSync, statSync } from "node:fs";
import { ErrorCode, OutpostError, type Secrets } from "@outpost/protocol";
import type { AdmittedJob } from "../configurations/index.ts";
import { copyCommand } from "../files/command.ts";
import { type Account, limitsPrefix, ownAccount, type RunAs, runAsPrefix } from "../platform/index.ts";
import { quote } from "../session-host/shell/quote.ts";
import { accountEnvironment, type Environment, jobEnvironment } from "./environment.ts";
import { openMemoryFile } from "./memory-file.ts";
import { findProgram } from "./program.ts";
import { wrapperName } from "./wrapper.ts";

/** The first descriptor that is a job's: 0 to 2 are its streams, 3 is its standard error until it is executed. */
export const firstInherited = 4;

export interface Execution {
  readonly argv: readonly string[];
  /** Of the wrapper. */
  readonly environment: Environment;
  readonly cwd: string;
  /** The program as it was found; empty when only the job's user can say. */
  readonly program: string;
  /** From `firstInherited` on. To be closed once the process is there. */
  readonly inherited: readonly number[];
}

export interface ExecutionWanted {
  readonly job: string;
  readonly admitted: AdmittedJob;
  readonly secrets: Secrets | undefined;
  readonly marks: readonly string[];
  /** Where the body of a script was written to. */
  readonly script: string | undefined;
  /** The job's directory. */
  readonly directory: string;
}

/** @throws OutpostError `start_failed`: nothing is left open */
export function prepareExecution(wanted: ExecutionWanted): Execution {
  const opened: number[] = [];
  try {
    const { runAs } = wanted.admitted;
    return runAs === undefined ? asOurselves(wanted, opened) : asAnother(wanted, runAs, opened);
  } catch (error) {
    for (const file of opened) closeSync(file);
    throw error;
  }
}

function asOurselves(wanted: ExecutionWanted, opened: number[]): Execution {
  const { admitted, marks } = wanted;
  const account = ownAccount();
  const cwd = workingDirectory(admitted.cwd, account.home);
  const own = { ...admitted.env, ...openSecrets(wanted, firstInherited, opened) };
  const environment = jobEnvironment(accountEnvironment(account), own, marks);
  const command = commandOf(admitted, wanted.script);
  const program = findProgram(command, environment["PATH"] ?? "", cwd);
  // Options of the shell's `exec` begin so.
  if (command[0]!.startsWith("-")) command[0] = program;
  return { argv: [...limitsOf(wanted, account), ...command], environment, cwd, program, inherited: opened };
}

/** POSIX sh, as the job's user: $1 is the working directory. What it says is said on the job's standard error. */
const enterExplicit = 'cd -- "$1" || exit 126; ';
/** Service users often have a home that is not there. */
const enterHome = 'cd -- "$1" 2>/dev/null || cd /; ';
const takeVariables = `shift; unset OLDPWD; . /dev/fd/${String(firstInherited)}; exec "$@" ${String(firstInherited)}<&-`;

function asAnother(wanted: ExecutionWanted, runAs: RunAs, opened: number[]): Execution {
  const { admitted, marks, directory } = wanted;
  const { account } = runAs;
  // The variables' descriptor comes first, and tells of those behind it.
  const secrets = openSecrets(wanted, firstInherited + 1, opened, account);
  const environment = jobEnvironment(accountEnvironment(account), { ...admitted.env, ...secrets }, marks);
  const variables = openMemoryFile(Buffer.from(exportText(environment)), {
    owner: account,
    pipeFolder: directory,
  });
  opened.unshift(variables);
  const command = commandOf(admitted, wanted.script);
  const enter = admitted.cwd === undefined ? enterHome : enterExplicit;
  const argv = [
    ...limitsOf(wanted, account),
    ...runAsPrefix(runAs),
    "/bin/sh",
    "-c",
    enter + takeVariables,
    wrapperName,
    admitted.cwd ?? account.home,
    ...command,
  ];
  const wrapper = jobEnvironment({ PATH: accountEnvironment(account).PATH, LANG: "C.UTF-8" }, {}, marks);
  const program = programOf(command, admitted, secrets);
  return { argv, environment: wrapper, cwd: "/", program, inherited: opened };
}

/** A name without a path is looked up in the usual places, so that a mistyped one is told as such. Anything else is for
 * that user to find: root sees what he may not. */
function programOf(command: readonly string[], { env }: AdmittedJob, secrets: Environment): string {
  const hasOwnPath = Object.hasOwn(env, "PATH") || Object.hasOwn(secrets, "PATH");
  if (command[0]!.includes("/") || hasOwnPath) return "";
  return findProgram(command, accountEnvironment(ownAccount()).PATH, "/");
}

function limitsOf({ admitted, job }: ExecutionWanted, { uid }: Account): readonly string[] {
  const { limits, timeoutMs } = admitted;
  return limitsPrefix({ limits: { ...limits, timeMs: timeoutMs }, uid, description: `Outpost job ${job}` });
}

/** The variables that come of secrets; the files are opened, and numbered from `first` on in that order. */
function openSecrets(
  { secrets, directory }: ExecutionWanted,
  first: number,
  opened: number[],
  owner?: Account,
): Environment {
  if (secrets === undefined) return {};
  const names = Object.entries(secrets.files).map(([name, content], index): [string, string] => {
    opened.push(openMemoryFile(content, { owner, pipeFolder: directory }));
    return [name, `/dev/fd/${String(first + index)}`];
  });
  return { ...secrets.env, ...Object.fromEntries(names) };
}

/** Text for a shell that sets exactly these; the names are such as shells can set (`isPassable`). */
export function exportText(environment: Environment): string {
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return lines.join("");
}

function commandOf({ command, shell, runAs }: AdmittedJob, script: string | undefined): string[] {
  switch (command.kind) {
    case "exec":
      return [...command.argv];
    case "shell":
      return [shell, "-c", command.text];
    case "script":
      return [script!, ...command.args];
    case "put":
    case "get":
      return copyCommand(command, runAs?.account);
    default:
      return command satisfies never;
  }
}

function workingDirectory(asked: string | undefined, home: string): string {
  const cwd = asked ?? home;
  const found = statSync(cwd, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return cwd;
  // Service users often have a home that is not there.
  if (asked === undefined) return "/";
  throw new OutpostError(
    ErrorCode.startFailed,
    found === undefined ? `there is no directory '${cwd}'` : `'${cwd}' is not a directory`,
  );
}
