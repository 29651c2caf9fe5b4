/**
 * A program as it is installed on a machine: each version in a folder of its own, that needs nothing from anywhere else,
 * and a link that says which is in force.
 *
 *     /opt/outpost-agent/
 *       versions/0.2.0-20260131T120000000Z/
 *         bin/node  bin/outpost-agent   its own Node, and a launcher
 *         dist/  package.json  node_modules/
 *       current  -> versions/…          what starts next; switched by one rename(2)
 *       previous -> versions/…          what did before, to go back to
 *     /usr/local/bin/outpost-agent -> /opt/outpost-agent/current/bin/outpost-agent
 *
 * A folder in `versions/` is whole or not there: it is made under another name, tried and synced, and renamed. So a crash
 * at any point leaves the version that was in force, or the new one. A process that runs from an older version keeps its
 * files: it may load some of them later.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { closureOf } from "./closure.ts";
import { copyPackages, copyPlainFile } from "./copying.ts";
import { isRunningFrom } from "./processes.ts";

const run = promisify(execFile);

export interface ProgramOptions {
  /** Where it is installed, e.g. `/opt/outpost-agent`. Absolute. */
  readonly prefix: string;
  /** What it is called, e.g. `outpost-agent`. */
  readonly command: string;
  /** Its main module, relative to its package, e.g. `dist/main.js`. */
  readonly main: string;
  /** Where a link to it goes, for people. Default `/usr/local/bin`. */
  readonly commands?: string;
}

/** One of the versions of a program. */
export interface ProgramVersion {
  /** Its folder in `versions/`, absolute, no link. */
  readonly folder: string;
  /** As its package.json says. */
  readonly version: string;
}

/** How long a new version may take to say its version, in milliseconds. A cold disk reads 120 MB of Node first. */
const trialTimeoutMs = 60_000;
/** Ends the names of what is not whole. */
const partialSuffix = ".partial";

export class Program {
  readonly prefix: string;
  readonly command: string;
  readonly #main: string;
  readonly #commands: string;

  constructor({ prefix, command, main, commands = "/usr/local/bin" }: ProgramOptions) {
    this.prefix = prefix;
    this.command = command;
    this.#main = main;
    this.#commands = commands;
  }

  /** The launcher of whichever version is in force; for units and links. */
  get launcher(): string {
    return join(this.prefix, "current", "bin", this.command);
  }

  /** What starts next. */
  get current(): ProgramVersion | undefined {
    return this.#linked("current");
  }

  /** What was in force before; `undefined` when that is the same, or gone. */
  get previous(): ProgramVersion | undefined {
    const previous = this.#linked("previous");
    return previous?.folder === this.current?.folder ? undefined : previous;
  }

  /**
   * Copies a package with all that it needs, and this process's Node, beside what is there; changes nothing of that.
   * @param source the package's folder
   * @throws OutpostError `not_found` when something is not built or not installed, `disk_full`, `denied` when the prefix
   * is not ours to write to, `start_failed` when the copy does not run
   */
  async add(source: string): Promise<ProgramVersion> {
    const { version } = manifestOf(source);
    const stamp = new Date().toISOString().replaceAll(/[-:.]/g, "");
    const folder = join(this.#versions, `${version}-${stamp}`);
    const partial = folder + partialSuffix;
    if (!existsSync(join(source, this.#main))) {
      throw new OutpostError(
        ErrorCode.notFound,
        `${join(source, this.#main)} is not there: build the program first (\`pnpm build\`)`,
      );
    }
    try {
      await mkdir(join(partial, "bin"), { recursive: true, mode: 0o755 });
      await copyPackages(closureOf(source), partial);
      await copyPlainFile(realpathSync(process.execPath), join(partial, "bin", "node"));
      await this.#writeLauncher(partial, folder);
      await this.#try(partial, version);
      await syncBelow(partial);
      await rename(partial, folder);
      await syncFolder(this.#versions);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw explain(error, this.prefix);
    }
    return { folder: await realpath(folder), version };
  }

  /** Puts a version in force: what starts from now on is that. What runs goes on as it is. */
  async switchTo({ folder }: ProgramVersion): Promise<void> {
    const before = this.current;
    // First the way back, then the way on.
    if (before !== undefined && before.folder !== folder) await this.#link("previous", before.folder);
    await this.#link("current", folder);
  }

  /**
   * Makes the command for people.
   * @returns what keeps its name from being ours (somebody else's program, npm's link), if anything: that is left alone
   */
  async linkCommand(): Promise<string | undefined> {
    const file = join(this.#commands, this.command);
    if (!(await this.#isFree(file))) return file;
    await mkdir(this.#commands, { recursive: true });
    await replaceLink(file, this.launcher);
    return undefined;
  }

  /** Removes a version that is not in force, unless a process still runs from it: then a later `prune` does. */
  async discard({ folder }: ProgramVersion): Promise<void> {
    if (folder === this.current?.folder) return;
    if (folder === this.previous?.folder) await rm(join(this.prefix, "previous"), { force: true });
    if (!isRunningFrom(folder)) await rm(folder, { recursive: true, force: true });
  }

  /** Removes what is neither in force nor the one before, and what was never whole; not what a process still runs from. */
  async prune(): Promise<void> {
    const kept = new Set(
      [this.current?.folder, this.previous?.folder].map((folder) => folder && basename(folder)),
    );
    for (const name of await readdir(this.#versions).catch(() => [])) {
      const folder = join(this.#versions, name);
      if (!kept.has(name) && !isRunningFrom(folder)) await rm(folder, { recursive: true, force: true });
    }
  }

  /**
   * Removes the program and its command, except versions that a process still runs from.
   * @returns the folders that stay
   */
  async remove(): Promise<readonly string[]> {
    const command = join(this.#commands, this.command);
    if (await this.#isOurs(command)) await rm(command, { force: true });
    for (const link of ["current", "previous"]) await rm(join(this.prefix, link), { force: true });
    await this.prune();
    const left = await readdir(this.#versions).catch(() => []);
    if (left.length === 0) await rm(this.prefix, { recursive: true, force: true });
    return left.map((name) => join(this.#versions, name));
  }

  get #versions(): string {
    return join(this.prefix, "versions");
  }

  #linked(name: "current" | "previous"): ProgramVersion | undefined {
    try {
      const folder = realpathSync(join(this.prefix, name));
      return { folder, version: manifestOf(folder).version };
    } catch {
      return undefined;
    }
  }

  async #link(name: "current" | "previous", folder: string): Promise<void> {
    await replaceLink(join(this.prefix, name), join("versions", basename(folder)));
  }

  /** With absolute paths, so that who runs from it shows by its arguments, whatever link it was started by. */
  async #writeLauncher(partial: string, folder: string): Promise<void> {
    const node = quote(join(folder, "bin", "node"));
    const main = quote(join(folder, this.#main));
    const launcher = join(partial, "bin", this.command);
    await writeFile(launcher, `#!/bin/sh\nexec ${node} ${main} "$@"\n`);
    await chmod(launcher, 0o755);
  }

  /** Runs it where nothing depends on it yet: a Node that lacks its libraries shows here. */
  async #try(partial: string, version: string): Promise<void> {
    const args = [join(partial, this.#main), "--version"];
    // No environment of the caller's: NODE_OPTIONS and NODE_PATH will not be there later either.
    const env = { PATH: "/usr/bin:/bin", NODE_COMPILE_CACHE: join(partial, "trial") };
    const { stdout } = await run(join(partial, "bin", "node"), args, {
      env,
      cwd: "/",
      timeout: trialTimeoutMs,
    }).catch((cause: unknown) => {
      throw new OutpostError(
        ErrorCode.startFailed,
        `the copy of ${this.command} ${version} does not run on this machine: ${firstLine(cause)}`,
        { cause },
      );
    });
    await rm(join(partial, "trial"), { recursive: true, force: true });
    if (stdout.trim() !== version) {
      throw new OutpostError(
        ErrorCode.startFailed,
        `the copy of ${this.command} ${version} says that it is ${JSON.stringify(stdout.trim())}`,
      );
    }
  }

  async #isFree(file: string): Promise<boolean> {
    return (await lstat(file).catch(() => undefined)) === undefined || (await this.#isOurs(file));
  }

  async #isOurs(file: string): Promise<boolean> {
    const target = await readlink(file).catch(() => undefined);
    return target === this.launcher;
  }
}

/** One rename: who looks sees the old one or the new one. */
async function replaceLink(link: string, target: string): Promise<void> {
  const fresh = `${link}.new`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, link);
  await syncFolder(dirname(link));
}

/**
 * One call for some thousand files; without it a power cut soon after the switch could leave empty ones. Where sync(1)
 * cannot do this (macOS), the system's own rhythm has to.
 */
async function syncBelow(folder: string): Promise<void> {
  await run("sync", ["-f", folder]).catch(() => {});
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function manifestOf(folder: string): { readonly version: string } {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
}

function quote(word: string): string {
  return /^[\w./@:+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function firstLine(error: unknown): string {
  const { stderr = "", message } = error as { readonly stderr?: string; readonly message: string };
  const said = stderr.split("\n").find((line) => line.trim() !== "");
  return said ?? message;
}

function explain(error: unknown, prefix: string): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOSPC":
    case "EDQUOT":
      return new OutpostError(
        ErrorCode.diskFull,
        `the disk of ${prefix} is full: a version needs some 150 MB`,
        {
          cause: error,
        },
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new OutpostError(
        ErrorCode.denied,
        `${prefix} is not ours to write to: run this as root, or name another --prefix`,
        {
          cause: error,
        },
      );
    default:
      return error;
  }
}
