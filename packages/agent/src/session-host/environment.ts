/** The environment of a session's shell, and which shell that is. */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { ErrorCode, OutpostError, type SessionId, type SessionSpec } from "@outpost/protocol";
import { baseEnvironment, type Environment } from "../jobs/environment.ts";
import { findProgram } from "../jobs/program.ts";
import { agentPaths } from "../directory.ts";
import { agentCommandFolder } from "./agent-command.ts";

const defaultTerm = "xterm-256color";

export interface EnvironmentOptions {
  readonly session: SessionId;
  readonly spec: SessionSpec;
  readonly hostName: string;
  /** Where the agent keeps its things: `outpost-agent job …` in the session finds it by this. */
  readonly agentDirectory: string;
}

export interface ShellStart {
  /** Absolute. */
  readonly shell: string;
  readonly cwd: string;
  readonly env: Record<string, string>;
}

/**
 * What a session's shell is started with: a clean base, as jobs have, then what was asked for, then what tells where
 * one is; that comes last, so that a session cannot pass for another.
 * @throws OutpostError `start_failed` when there is no such shell or directory
 */
export function shellStart({ session, spec, hostName, agentDirectory }: EnvironmentOptions): ShellStart {
  const base: Environment & { readonly HOME: string } = baseEnvironment();
  const env: Record<string, string> = { ...base, TERM: spec.term ?? defaultTerm, ...spec.env };
  env["LANG"] ||= "C.UTF-8";
  const home = env["HOME"] === undefined || !isAbsolute(env["HOME"]) ? base.HOME : env["HOME"];
  const cwd = spec.cwd ?? home;
  if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new OutpostError(ErrorCode.startFailed, `there is no directory '${cwd}' to begin in`);
  const shell = findProgram([spec.shell ?? base["SHELL"]!], env["PATH"]!, cwd);
  return {
    shell,
    cwd,
    env: {
      ...env,
      PATH: `${env["PATH"]!}:${agentCommandFolder(agentPaths(agentDirectory).run)}`,
      SHELL: shell,
      OUTPOST_HOST: hostName,
      OUTPOST_SESSION: session,
      OUTPOST_AGENT_DIR: agentDirectory,
    },
  };
}
