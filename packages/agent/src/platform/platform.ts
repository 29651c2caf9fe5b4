/** The seam to the operating system: everything about processes that Node does not tell. Linux and macOS are behind it. */
import * as darwin from "./darwin.ts";
import * as linux from "./linux.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** 0 where the system does not tell. */
  readonly session: number;
  /** When it was started, in a form of the system's. A pid and its start time name one process, until the host reboots. */
  readonly startTime: string;
}

export interface Platform {
  /** Names this boot of the host; another one after every reboot. */
  readonly bootId: string;
  /** `undefined` when there is no such process, or it has ended and only waits to be reaped. */
  startTime(pid: number): string | undefined;
  /** All processes that have not ended. */
  processes(): ProcessInfo[];
  /** The environment that a process was started with, as `NAME=value`; empty when we may not see it. */
  environment(pid: number): readonly string[];
  /** The arguments that a process was started with, joined by NUL or space; empty when we may not see them. */
  commandLine(pid: number): string;
  /** Those of `pids` that have one of `files` open. One that we may not look into counts: we cannot say that it has not. */
  holders(pids: readonly number[], files: readonly string[]): number[];
}

/** @throws on systems other than Linux and macOS */
export function hostPlatform(): Platform {
  switch (process.platform) {
    case "linux":
      return linux.platform();
    case "darwin":
      return darwin.platform();
    default:
      throw new Error(`jobs need Linux or macOS; this is ${process.platform}`);
  }
}

/** Whether any process, ended ones that nobody has reaped included, is in this process group. */
export function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
