/** What processes have used so far, as Linux says in /proc (proc_pid_stat(5), proc_pid_status(5)). */
import { readdirSync, readFileSync } from "node:fs";

/** One hundredth of a second on every Linux that Node runs on (`getconf CLK_TCK`). */
const tickMs = 10;

interface Stat {
  readonly parent: number;
  /** Its own time, and that of its children that have ended, in milliseconds. */
  readonly cpuMs: number;
}

function statOf(pid: number | "self"): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name may hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  return { parent: Number(fields[1]), cpuMs: (user! + system! + childrenUser! + childrenSystem!) * tickMs };
}

/** Processor time of these processes and all below them, ended ones included, in milliseconds. */
export function cpuMs(roots: readonly number[]): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) stats.set(Number(name), stat);
  }
  const isBelow = (pid: number): boolean => {
    for (let at = pid; at > 1; at = stats.get(at)?.parent ?? 0) if (roots.includes(at)) return true;
    return false;
  };
  let sum = 0;
  for (const [pid, stat] of stats) if (isBelow(pid)) sum += stat.cpuMs;
  return sum;
}

/** Processor time of this process's children that have ended, and of theirs, in milliseconds. */
export function endedChildrenCpuMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8");
  const [user, system] = fields
    .slice(fields.lastIndexOf(")") + 2)
    .split(" ")
    .slice(13, 15)
    .map(Number);
  return (user! + system!) * tickMs;
}

/** Resident and private memory of a process in MiB (proc_pid_smaps(5)). */
export function memory(pid: number): { rss: number; private: number } {
  const rollup = readFileSync(`/proc/${String(pid)}/smaps_rollup`, "utf8");
  const kilobytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(rollup)?.[1]);
  return {
    rss: kilobytes("Rss") / 1024,
    private: (kilobytes("Private_Clean") + kilobytes("Private_Dirty")) / 1024,
  };
}

/** The most that a process had resident so far, in MiB; `undefined` when it is gone. */
export function peakRssMiB(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
    const kilobytes = /^VmHWM:\s+(\d+)/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}
