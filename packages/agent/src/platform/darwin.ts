/** Processes on macOS, from ps(1), sysctl(8) and lsof(8): there is no /proc, and Node has no call for it. */
import { spawnSync } from "node:child_process";
import type { Platform, ProcessInfo } from "./platform.ts";

export function platform(): Platform {
  return {
    bootId: run("sysctl", ["-n", "kern.bootsessionuuid"]).trim(),
    startTime: (pid) => list(["-p", String(pid)])[0]?.startTime,
    processes: () => list(["-ax"]),
    environment,
    commandLine: (pid) => run("ps", ["-ww", "-o", "command=", "-p", String(pid)]),
    holders,
  };
}

function run(program: string, args: readonly string[]): string {
  const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" };
  return spawnSync(program, args, { encoding: "latin1", env, maxBuffer: 64 * 1024 * 1024 }).stdout;
}

/** `lstart` is exact to the second, which is enough: pids are not reused within one. `sess` is always 0. */
function list(which: readonly string[]): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const line of run("ps", [...which, "-o", "pid=,ppid=,pgid=,state=,lstart="]).split("\n")) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line);
    if (match === null || match[4]!.startsWith("Z")) continue;
    found.push({
      pid: Number(match[1]),
      parent: Number(match[2]),
      group: Number(match[3]),
      session: 0,
      startTime: match[5]!,
    });
  }
  return found;
}

/** `ps -E` appends the environment to the command, by spaces: values with spaces come apart, which ours do not have. */
function environment(pid: number): readonly string[] {
  return run("ps", ["-E", "-ww", "-o", "command=", "-p", String(pid)])
    .trim()
    .split(" ");
}

function holders(pids: readonly number[], files: readonly string[]): number[] {
  const open = new Set(
    run("lsof", ["-t", "--", ...files])
      .split("\n")
      .map(Number),
  );
  return pids.filter((pid) => open.has(pid));
}
