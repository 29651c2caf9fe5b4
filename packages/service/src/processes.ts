/** Which processes run a program of a folder: those must keep their files. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { sep } from "node:path";

/**
 * Whether a process other than this one has an executable or an argument below `folder` (absolute, no links). Where the
 * host does not let us look, it counts as one that has.
 */
export function isRunningFrom(folder: string): boolean {
  const below = folder + sep;
  return process.platform === "linux" ? listed(below) : listedByPs(below);
}

function listed(below: string): boolean {
  const own = String(process.pid);
  return readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && pid !== own && runs(pid, below));
}

/** The executable's link names it also when its file was removed; a launcher shows in the arguments only. */
function runs(pid: string, below: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/exe`).startsWith(below)) return true;
  } catch {
    // A kernel thread, or one that has just ended.
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
      .split("\0")
      .some((argument) => argument.startsWith(below));
  } catch {
    return false;
  }
}

/** macOS has no /proc. */
function listedByPs(below: string): boolean {
  try {
    const lines = execFileSync("ps", ["-axww", "-o", "pid=,command="], { encoding: "utf8" }).split("\n");
    return lines.some((line) => Number.parseInt(line, 10) !== process.pid && line.includes(below));
  } catch {
    return true;
  }
}
