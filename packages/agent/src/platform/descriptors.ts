/**
 * Descriptors that this process was started with by accident and that its children would inherit. Those that Node opens
 * are closed on exec; one that a careless parent left open is not, and would reach another user's program.
 */
import { readdirSync, readFileSync } from "node:fs";

/** O_CLOEXEC, as /proc/PID/fdinfo shows it, in octal. */
const closeOnExec = 0o2000000;

/** Those above 2. Empty where the system does not tell. */
export function strayDescriptors(): readonly number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd > 2 && isInherited(fd));
}

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${String(fd)}`, "latin1"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // The one that read the directory.
  }
}
