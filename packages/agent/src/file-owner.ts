/** Who could have written a file that decides what the agent does: its own user and root, or others. */
import type { Stats } from "node:fs";

/**
 * Why others could have written it, as the end of a sentence that begins with the file; `undefined`: they could not.
 * @param may what only the agent's user and root may do, e.g. `write configurations`
 */
export function ownerProblem(
  path: string,
  { uid, mode }: Pick<Stats, "uid" | "mode">,
  may: string,
): string | undefined {
  const own = process.getuid?.() ?? 0;
  if (uid !== own && uid !== 0) {
    return `belongs to user ${String(uid)}; only the agent's user and root may ${may}`;
  }
  if ((mode & 0o022) === 0) return undefined;
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  return `can be written by others (mode ${octal}); chmod go-w ${path}`;
}
