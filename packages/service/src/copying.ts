/** Copies packages into a folder of their own, as plain files that only their owner may change. */
import { constants, existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { PlacedPackage } from "./closure.ts";

/** Never taken along: other packages have places of their own, and the compiler's notes are for the compiler. */
const leftOut: ReadonlySet<string> = new Set(["node_modules", ".tsbuildinfo"]);

/**
 * Copies each package to its place in `folder`.
 * @throws OutpostError `not_found` when a package of a workspace is not built
 */
export async function copyPackages(packages: readonly PlacedPackage[], folder: string): Promise<void> {
  for (const { name, source, place } of packages) {
    const target = join(folder, place);
    if (isPublished(source)) {
      await copyTree(source, target);
      continue;
    }
    // One of a workspace: what it would publish, without sources and tests.
    const built = join(source, "dist");
    if (!existsSync(built)) {
      throw new OutpostError(
        ErrorCode.notFound,
        `${name} is not built (there is no ${built}): run \`pnpm build\` first`,
      );
    }
    await copyTree(built, join(target, "dist"));
    await copyPlainFile(join(source, "package.json"), join(target, "package.json"));
  }
}

function isPublished(source: string): boolean {
  return source.split(sep).includes("node_modules");
}

/** Links are followed: the copy has none. */
async function copyTree(source: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o755 });
  await chmod(target, 0o755);
  for (const name of await readdir(source)) {
    if (leftOut.has(name)) continue;
    const from = join(source, name);
    const found = await stat(from);
    if (found.isDirectory()) await copyTree(from, join(target, name));
    else if (found.isFile()) await copyPlainFile(from, join(target, name));
  }
}

/** Executable for all if it was for anybody; writable for its owner only: who may write to a program is who runs it. */
export async function copyPlainFile(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const { mode } = await stat(to);
  await chmod(to, (mode & 0o111) === 0 ? 0o644 : 0o755);
}
