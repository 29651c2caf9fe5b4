/** Which process group has a terminal's foreground, and who is in a terminal's session. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Platform, ProcessInfo } from "../platform/index.ts";

/** Fields of /proc/pid/stat, counted from the one behind the name: see proc(5). */
const tpgidField = 5;

/** The foreground process group of a process's controlling terminal. `undefined` when the process or its terminal is gone. */
export function foregroundGroup(pid: number): number | undefined {
  const group = process.platform === "linux" ? readTpgid(pid) : askTpgid(pid);
  return group !== undefined && group > 0 ? group : undefined;
}

function readTpgid(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
    // The name may hold spaces and parentheses itself.
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[tpgidField]);
  } catch {
    return undefined;
  }
}

/** macOS has no /proc; ps(1) costs some milliseconds. */
function askTpgid(pid: number): number | undefined {
  const { stdout } = spawnSync("/bin/ps", ["-o", "tpgid=", "-p", String(pid)], { encoding: "latin1" });
  const group = Number.parseInt(stdout, 10);
  return Number.isNaN(group) ? undefined : group;
}

/**
 * The processes of the terminal session that `leader` leads or led, the leader included. What has made a session of its
 * own (a daemon, tmux's server, a job) has left it on purpose, and is not among them.
 */
export function terminalSession(platform: Platform, leader: number): ProcessInfo[] {
  const all = platform.processes();
  if (all.some(({ session }) => session !== 0)) return all.filter(({ session }) => session === leader);
  // A system that does not tell sessions (macOS): the leader and its descendants.
  const members = new Map(all.filter(({ pid }) => pid === leader).map((info) => [info.pid, info]));
  for (let found = true; found;) {
    const children = all.filter(({ pid, parent }) => !members.has(pid) && members.has(parent));
    for (const info of children) members.set(info.pid, info);
    found = children.length > 0;
  }
  return [...members.values()];
}

const maxNameLength = 200;

/** A process in words for people: its command line. `undefined` when it is gone. */
export function describeProcess(platform: Platform, pid: number): string | undefined {
  const words = platform
    .commandLine(pid)
    .replaceAll(/[\0-\x1f\x7f]+/g, " ")
    .trim();
  return words === "" ? undefined : Buffer.from(words, "latin1").toString().slice(0, maxNameLength);
}
