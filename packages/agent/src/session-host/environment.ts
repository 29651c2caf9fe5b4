/** The environment of a session's shell, and which shell that is. */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { ErrorCode, OutpostError, type SessionId, type SessionSpec } from "@outpost/protocol";
import type { AdmittedSession } from "../configurations/index.ts";
import { accountEnvironment } from "../jobs/environment.ts";
import { findProgram } from "../jobs/program.ts";
import { ownAccount, type RunAs } from "../platform/index.ts";
import { agentPaths } from "../directory.ts";
import { agentCommandFolder } from "./agent-command.ts";

const defaultTerm = "xterm-256color";

export interface EnvironmentOptions {
  readonly session: SessionId;
  readonly spec: SessionSpec;
  readonly admitted: AdmittedSession;
  readonly hostName: string;
  /** Where the agent keeps its things: `outpost-agent job …` in the session finds it by this. */
  readonly agentDirectory: string;
}

export interface ShellStart {
  /** Absolute. What runs in place of a shell is here, too. */
  readonly shell: string;
  /** The arguments of what runs in place of a shell. Absent: it is a shell. */
  readonly args?: readonly string[] | undefined;
  /** Absent: as the agent's user. */
  readonly runAs?: RunAs | undefined;
  readonly limits: AdmittedSession["limits"];
  readonly cwd: string;
  /** Whether that was asked for, and is not just where one begins. */
  readonly isCwdFixed: boolean;
  readonly env: Record<string, string>;
}

/**
 * What a session's shell is started with: a clean base, as jobs have, then what was asked for, then what tells where
 * one is; that comes last, so that a session cannot pass for another.
 * @throws OutpostError `start_failed` when there is no such shell or directory
 */
export function shellStart(options: EnvironmentOptions): ShellStart {
  const { session, spec, admitted, hostName } = options;
  const { runAs, limits, command } = admitted;
  const base = accountEnvironment(runAs?.account ?? ownAccount());
  const env: Record<string, string> = { ...base, TERM: spec.term ?? defaultTerm, ...admitted.env };
  env["LANG"] ||= "C.UTF-8";
  const home = env["HOME"] === undefined || !isAbsolute(env["HOME"]) ? base.HOME : env["HOME"];
  const cwd = admitted.cwd ?? home;
  // Another user finds out himself: root sees directories that he may not.
  if (runAs === undefined && statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new OutpostError(ErrorCode.startFailed, `there is no directory '${cwd}' to begin in`);
  const wanted = command?.[0] ?? admitted.shell ?? base.SHELL;
  const shell = findProgram([wanted], env["PATH"]!, runAs === undefined ? cwd : "/");
  return {
    shell,
    args: command?.slice(1),
    runAs,
    limits,
    cwd,
    isCwdFixed: admitted.cwd !== undefined,
    env: {
      ...env,
      ...(runAs === undefined ? agentVariables(options, env["PATH"]!) : {}),
      SHELL: command === undefined ? shell : base.SHELL,
      OUTPOST_HOST: hostName,
      OUTPOST_SESSION: session,
    },
  };
}

/** How `outpost-agent` is found in the session, and what it speaks to: both are closed to other users. */
function agentVariables({ agentDirectory }: EnvironmentOptions, path: string): Record<string, string> {
  return {
    PATH: `${path}:${agentCommandFolder(agentPaths(agentDirectory).run)}`,
    OUTPOST_AGENT_DIR: agentDirectory,
  };
}
