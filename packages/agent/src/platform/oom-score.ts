/** How soon the kernel kills this process when memory runs out (proc_pid_oom_score_adj(5)). */
import { readFileSync } from "node:fs";

/** Whether this process is spared: then what it starts would be, too, unless it is put back. */
function isSparedFromOom(): boolean {
  if (process.platform !== "linux") return false;
  try {
    return Number(readFileSync("/proc/self/oom_score_adj", "latin1")) < 0;
  } catch {
    return false;
  }
}

/** POSIX sh that puts the shell that runs it back to where processes begin. Nothing when this process is not spared. */
export function oomReset(isSpared = isSparedFromOom()): string {
  return isSpared ? "{ echo 0 >/proc/self/oom_score_adj; } 2>/dev/null; " : "";
}
