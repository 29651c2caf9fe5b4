/** A path as an operator writes it, on the host: `~` is the job's home, everything else is as the working directory has it. */
import { homedir } from "node:os";

export function remotePath(path: string): string {
  return path === "~" || path.startsWith("~/") ? homedir() + path.slice(1) : path;
}
