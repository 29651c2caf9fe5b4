/**
 * Outpost as it would be installed, for the hosts to run: each package as published, with what it depends on, in a
 * folder of its own. Made by `pnpm deploy` from what `pnpm build` has built; nothing of it comes from a registry.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../../..");

/** The last commit of the release before this one: hosts may still run its agent. */
const previousCommit = "003591c";

/** `next` is `current` under a higher version; `previous` is the release before. */
export type Release = "current" | "next" | "previous";

const run = promisify(execFile);

/** Only its agent; or why there is none: `absent` where the sources came without any history. */
export type PreviousRelease =
  | { readonly state: "built"; readonly folder: string }
  | { readonly state: "failed" | "absent"; readonly why: string };

/** Where each release of the programs is; `agent/dist/main.js` and `controller/dist/cli/main.js` are below. */
export interface Programs {
  readonly current: string;
  readonly previous: PreviousRelease;
  /** The manifests with which the current programs are the next release. */
  readonly nextManifests: Readonly<Record<"agent" | "controller", string>>;
}

/** @param directory for what is made only for this run */
export async function makePrograms(directory: string): Promise<Programs> {
  const current = join(directory, "current");
  const nextManifests = {
    agent: join(directory, "agent.json"),
    controller: join(directory, "controller.json"),
  };
  for (const name of ["agent", "controller"] as const) {
    await deploy(root, name, join(current, name));
    const manifest = JSON.parse(await readFile(join(current, name, "package.json"), "utf8")) as {
      version: string;
    };
    await writeFile(
      nextManifests[name],
      JSON.stringify({ ...manifest, version: nextVersion(manifest.version) }),
    );
  }
  return { current, nextManifests, previous: await previousRelease(directory) };
}

/** @example nextVersion("0.2.0") === "0.2.1" */
export function nextVersion(version: string): string {
  return version.replace(/\d+$/, (patch) => String(Number(patch) + 1));
}

/** Never rejects: what is wrong with it concerns only the tests that need it. */
async function previousRelease(directory: string): Promise<PreviousRelease> {
  if (!(await exists(join(root, ".git")))) {
    return { state: "absent", why: "the sources came without their git history" };
  }
  try {
    return { state: "built", folder: await makePrevious(directory) };
  } catch (error) {
    return { state: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}

/** Built once from the repository's history, and kept. */
async function makePrevious(directory: string): Promise<string> {
  const kept = join(cacheDirectory(), `previous-${previousCommit}`);
  if (await exists(kept)) return kept;
  const sources = join(directory, "previous-sources");
  await mkdir(sources);
  const archive = join(directory, "previous.tar");
  await run("git", ["-C", root, "archive", "--output", archive, previousCommit]).catch((cause: unknown) => {
    throw new Error(
      `the previous release cannot be built: commit ${previousCommit} is not in this clone; \`git fetch --unshallow\` brings it`,
      { cause },
    );
  });
  await run("tar", ["-C", sources, "-xf", archive]);
  await pnpm(sources, "install", "--frozen-lockfile", "--prefer-offline");
  await pnpm(sources, "build");
  await rm(`${kept}.part`, { recursive: true, force: true });
  await deploy(sources, "agent", join(`${kept}.part`, "agent"));
  await rename(`${kept}.part`, kept);
  await rm(sources, { recursive: true });
  await rm(archive);
  return kept;
}

/** What takes long to make and says by its name what it is; shared with `image/build`. */
function cacheDirectory(): string {
  return (
    process.env["OUTPOST_CACHE_DIR"] ??
    join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "outpost")
  );
}

async function deploy(workspace: string, name: "agent" | "controller", target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await pnpm(
    workspace,
    "--filter",
    `@outpost/${name}`,
    // Linked files would change under the hosts when somebody builds.
    "--config.package-import-method=copy",
    "deploy",
    "--legacy",
    "--prod",
    "--prefer-offline",
    target,
  );
  // As npm does for whom it installs for.
  const { bin } = JSON.parse(await readFile(join(target, "package.json"), "utf8")) as {
    bin: Record<string, string>;
  };
  for (const file of Object.values(bin)) await chmod(join(target, file), 0o755);
}

/** The pnpm that runs us, or the one that npx brings. */
async function pnpm(workspace: string, ...args: string[]): Promise<void> {
  const either = 'if command -v pnpm >/dev/null; then exec pnpm "$@"; else exec npx -y pnpm@12 "$@"; fi';
  const child = spawn("sh", ["-c", either, "sh", ...args], {
    cwd: workspace,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`pnpm ${args.join(" ")} failed in ${workspace}:\n${printed}`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
