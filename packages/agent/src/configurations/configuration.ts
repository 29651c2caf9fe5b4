/** A configuration: what a host offers under a name. What it means, apart from how it is written (`configuration-file.ts`). */
import type { NamePattern } from "./name-pattern.ts";
import type { AllowedCommand } from "./allow-list.ts";
import type { ResourceLimits } from "../platform/index.ts";

/** What jobs and sessions of a configuration may take. Absent: the host's own settings. */
export interface Limits extends ResourceLimits {
  /** How many jobs of it may be pending or run at once. */
  readonly jobs?: number | undefined;
  /** How many sessions of it may live at once. */
  readonly sessions?: number | undefined;
  /** How long a session may be disconnected and idle, at most and by default, in milliseconds. */
  readonly idleMs?: number | undefined;
  /** How long a job or a session may last in all, in milliseconds. */
  readonly timeMs?: number | undefined;
  /** How many bytes a job may write; how much of a session's output and recording is kept. */
  readonly outputBytes?: number | undefined;
}

export interface Configuration {
  readonly name: string;
  readonly description?: string | undefined;
  /** Who may use it. Absent: whomever the policies allow. */
  readonly operators?: readonly NamePattern[] | undefined;
  /** The shell of its sessions, and of shell text. Absolute. */
  readonly shell?: string | undefined;
  /** What its sessions run instead of a shell. */
  readonly command?: readonly string[] | undefined;
  /** As whom things run. Absent: the agent's user. */
  readonly user?: string | undefined;
  /** As whom else they may be asked to run. */
  readonly users: readonly NamePattern[];
  /** Supplementary groups by name. Absent: the user's own. */
  readonly groups?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  /** An operator cannot set these to something else. */
  readonly env: Readonly<Record<string, string>>;
  /** Which variables an operator may set. Absent: all without `allow`, none with it. */
  readonly acceptEnv?: readonly NamePattern[] | undefined;
  /** What may be run. Absent: anything. */
  readonly allow?: readonly AllowedCommand[] | undefined;
  readonly limits: Limits;
}

/** What a host offers when nobody has written a `default`: everything, as the agent's user. */
export const openConfiguration: Configuration = { name: "default", users: [], env: {}, limits: {} };
