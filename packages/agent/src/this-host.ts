/** What the kernel says of this boot and its processes. */
import { readFileSync } from "node:fs";

/** Changes at each boot. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** When the process of this pid was started, in clock ticks since boot; `undefined` when there is none. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    // The second field, the program's name in parentheses, may hold anything; field 22 counts from behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
