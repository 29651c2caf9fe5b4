/**
 * Which processes belong to a job: those of its session or process group, their descendants, and whatever carries the
 * job's marks in its environment, wherever it has gone (setsid, a daemon). Never the wrapper: it records the exit.
 */
import type { Platform, ProcessInfo } from "../platform/index.ts";

export interface Tree {
  /** The wrapper's pid: the number of the job's session and process group. */
  readonly wrapper: number;
  /** False when that pid is somebody else's by now: then neither it nor its group are the job's. */
  readonly ownsGroup: boolean;
  /** `NAME=value` entries that all processes of the job were started with. */
  readonly marks: readonly string[];
}

export function carriesMarks(environment: readonly string[], marks: readonly string[]): boolean {
  return marks.every((mark) => environment.includes(mark));
}

/**
 * The job's processes now, those found earlier (`known`, pid → start time) and their descendants included: a process
 * may have left session and group, and cleared its environment, after it was first seen.
 */
export function findMembers(
  platform: Platform,
  tree: Tree,
  known: ReadonlyMap<number, string> = new Map(),
): ProcessInfo[] {
  const all = platform.processes();
  const members = new Map<number, ProcessInfo>();
  for (const info of all) {
    const inGroup = tree.ownsGroup && (info.session === tree.wrapper || info.group === tree.wrapper);
    if (inGroup || known.get(info.pid) === info.startTime) members.set(info.pid, info);
    else if (carriesMarks(platform.environment(info.pid), tree.marks)) members.set(info.pid, info);
  }
  addDescendants(all, members, tree);
  if (tree.ownsGroup) members.delete(tree.wrapper);
  return [...members.values()];
}

function addDescendants(all: readonly ProcessInfo[], members: Map<number, ProcessInfo>, tree: Tree): void {
  for (let found = true; found;) {
    found = false;
    for (const info of all) {
      const parentIsOurs = members.has(info.parent) || (tree.ownsGroup && info.parent === tree.wrapper);
      if (members.has(info.pid) || !parentIsOurs) continue;
      members.set(info.pid, info);
      found = true;
    }
  }
}

/** Sends a signal; a process that has ended meanwhile is not an error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: gone. EPERM: another user's by now (set-uid programs); what remains is reported by the termination.
  }
}
