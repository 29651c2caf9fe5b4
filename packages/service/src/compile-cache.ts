/** Where our programs keep what V8 has compiled of them, so that they start fast. */
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * A folder that only this user can write to, for `module.enableCompileCache`. Its default is one name in `/tmp`, which
 * whoever comes first owns: Node runs what it finds there, so any user of the machine could run code as root.
 */
export function compileCacheFolder(): string {
  // Not root's HOME, which sudo may have left as the caller's.
  return process.getuid?.() === 0 ? "/var/cache/outpost" : join(homedir(), ".cache", "outpost");
}
