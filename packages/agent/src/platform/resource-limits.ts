/**
 * Limits on what a process and its descendants take. Where systemd is the host's first process and we are root, by a
 * scope of its own: a control group, in which all of them count together. Elsewhere by rlimits, which count
 * for each process alone (RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_CPU) or for all processes of a user (RLIMIT_NPROC).
 *
 * Both stand in front of the program and exec it, so its number stays.
 */
import { existsSync } from "node:fs";
import { findTool } from "./tool.ts";

export interface ResourceLimits {
  /** CPU time per time: 0.5 is half of one CPU. */
  readonly cpus?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly processes?: number | undefined;
  readonly openFiles?: number | undefined;
}

export interface Limiting {
  readonly limits: ResourceLimits & { readonly timeMs?: number | undefined };
  /** As whom the program runs. Root is above RLIMIT_NPROC. */
  readonly uid: number;
  /** For people who look at the host's units, e.g. `Outpost job x`. */
  readonly description: string;
}

/** What a host can enforce limits with. */
export interface Enforcement {
  /** systemd-run(1), when it can make control groups. */
  readonly scopes?: string | undefined;
  /** prlimit(1). */
  readonly rlimits?: string | undefined;
}

/** The slice that scopes are in: what all jobs and sessions take together can be limited there. */
const slice = "outpost.slice";

export function hostEnforcement(): Enforcement {
  const isLinux = process.platform === "linux";
  const hasScopes =
    isLinux && process.getuid?.() === 0 && existsSync("/run/systemd/system") && hasControllers();
  return {
    scopes: hasScopes ? findTool("systemd-run") : undefined,
    rlimits: isLinux ? findTool("prlimit") : undefined,
  };
}

/** In either version of control groups; systemd sets the same properties in both (in the first one, swap is not limited). */
function hasControllers(): boolean {
  return (
    existsSync("/sys/fs/cgroup/cgroup.controllers") ||
    ["cpu", "memory", "pids"].every((controller) => existsSync(`/sys/fs/cgroup/${controller}`))
  );
}

/** What stands in front of a program so that it is limited; nothing when it is not. */
export function limitsPrefix(
  { limits, uid, description }: Limiting,
  enforcement?: Enforcement,
): readonly string[] {
  const { cpus, memoryBytes, processes, openFiles } = limits;
  if ([cpus, memoryBytes, processes, openFiles].every((limit) => limit === undefined)) return [];
  const { scopes, rlimits } = enforcement ?? hostEnforcement();
  const properties = scopes === undefined ? [] : scopeProperties(limits);
  const scope =
    properties.length === 0
      ? []
      : [
          scopes!,
          "--scope",
          "--quiet",
          "--collect",
          `--slice=${slice}`,
          `--description=${description}`,
          ...properties.flatMap((property) => ["-p", property]),
          "--",
        ];
  const options = rlimits === undefined ? [] : rlimitOptions(limits, uid, scopes !== undefined);
  return [...scope, ...(options.length === 0 ? [] : [rlimits!, ...options, "--"])];
}

function scopeProperties({ cpus, memoryBytes, processes }: ResourceLimits): string[] {
  const properties: string[] = [];
  if (cpus !== undefined) properties.push(`CPUQuota=${String(Math.max(1, Math.round(cpus * 100)))}%`);
  // Without the second, what does not fit goes to swap.
  if (memoryBytes !== undefined) properties.push(`MemoryMax=${String(memoryBytes)}`, "MemorySwapMax=0");
  if (processes !== undefined) properties.push(`TasksMax=${String(processes)}`);
  return properties;
}

function rlimitOptions(limits: Limiting["limits"], uid: number, hasScope: boolean): string[] {
  const { cpus, memoryBytes, processes, openFiles, timeMs } = limits;
  const options: string[] = [];
  if (openFiles !== undefined) options.push(`--nofile=${String(openFiles)}`);
  if (hasScope) return options;
  if (memoryBytes !== undefined) options.push(`--as=${String(memoryBytes)}`);
  if (processes !== undefined && uid !== 0) options.push(`--nproc=${String(processes)}`);
  // A share is no rlimit. What it comes to in the time that there is at most, is.
  if (cpus !== undefined && timeMs !== undefined)
    options.push(`--cpu=${String(Math.max(1, Math.ceil((cpus * timeMs) / 1000)))}`);
  return options;
}

/** How one limit is enforced on a host, in words; `enforced` is false when it is not. */
export interface EnforcedLimit {
  readonly limit: "cpu" | "memory" | "processes" | "openFiles";
  readonly enforced: boolean;
  readonly how: string;
}

/** How each of these limits is enforced here. */
export function explainEnforcement(
  limits: Limiting["limits"],
  uid: number,
  { scopes, rlimits }: Enforcement = hostEnforcement(),
): EnforcedLimit[] {
  const explained: EnforcedLimit[] = [];
  const add = (limit: EnforcedLimit["limit"], enforced: boolean, how: string): void =>
    void explained.push({ limit, enforced, how });
  const missing = "not enforced: prlimit(1) of util-linux is not on this host";
  const byRlimit = (limit: EnforcedLimit["limit"], how: string): void =>
    add(limit, rlimits !== undefined, rlimits === undefined ? missing : how);
  if (limits.cpus !== undefined) {
    const seconds = "as CPU seconds of each process (RLIMIT_CPU), from the time limit";
    if (scopes !== undefined) add("cpu", true, "a control group of each job and session (CPUQuota)");
    else if (limits.timeMs !== undefined) byRlimit("cpu", seconds);
    else
      add(
        "cpu",
        false,
        "not enforced: without a control group of systemd's it needs a time limit, from which CPU seconds follow",
      );
  }
  if (limits.memoryBytes !== undefined) {
    if (scopes !== undefined)
      add("memory", true, "a control group of each job and session (MemoryMax, no swap)");
    else byRlimit("memory", "the address space of each process (RLIMIT_AS), not all of them together");
  }
  if (limits.processes !== undefined) {
    if (scopes !== undefined) add("processes", true, "a control group of each job and session (TasksMax)");
    else if (uid === 0) add("processes", false, "not enforced: RLIMIT_NPROC does not hold for root");
    else byRlimit("processes", "all processes of that user together (RLIMIT_NPROC)");
  }
  if (limits.openFiles !== undefined) byRlimit("openFiles", "each process (RLIMIT_NOFILE)");
  return explained;
}
