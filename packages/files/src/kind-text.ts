import type { Stats } from "node:fs";

/** What it is, of what is neither a file nor a directory nor a link. */
export function kindText(stats: Stats): string {
  if (stats.isFIFO()) return "a named pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}
