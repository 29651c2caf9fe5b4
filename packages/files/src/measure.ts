/** How much a copy has to do, for whoever shows how far it is. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Sources } from "./sources.ts";

/** How many files there are and how many bytes they have. What cannot be read counts nothing. */
export async function measureTrees({
  sources,
}: Sources): Promise<{ readonly files: number; readonly bytes: number }> {
  let files = 0;
  let bytes = 0;
  const paths = sources.map(({ path, stats }) => ({ path, stats }));
  for (let each = paths.pop(); each !== undefined; each = paths.pop()) {
    const { path } = each;
    try {
      const stats = each.stats ?? (await lstat(path));
      if (stats.isFile()) {
        files++;
        bytes += stats.size;
      } else if (stats.isDirectory()) {
        for (const name of await readdir(path)) paths.push({ path: join(path, name), stats: undefined });
      }
    } catch {
      // The reading says it.
    }
  }
  return { files, bytes };
}
