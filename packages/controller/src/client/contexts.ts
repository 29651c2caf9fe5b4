/**
 * The contexts of this user, each a folder, and which of them is in use:
 *
 *     $OUTPOST_CONTEXT_DIR     one folder, whatever else there is
 *     $OUTPOST_CONTEXT         the name of one
 *     ~/.config/outpost/
 *       current                the name of the one in use
 *       contexts/NAME/         see `context.ts`
 */
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { type Context, readContext, refuseOldContext } from "./context.ts";
import { named } from "./named.ts";

/** What a context is called: 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit. */
const ContextName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "is not a context's name (1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit)",
  ),
);

/** A context in a list. */
export interface ContextEntry {
  readonly name: string;
  readonly directory: string;
  readonly inUse: boolean;
  /** Absent when it cannot be read; `problem` says why. */
  readonly context?: Context;
  readonly problem?: string;
}

/** The context that a command would use. */
export interface ContextInUse {
  readonly directory: string;
  /** Absent for one that `$OUTPOST_CONTEXT_DIR` names. */
  readonly name?: string;
}

const currentFileName = "current";

export class Contexts {
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;

  /** @param root default `~/.config/outpost` */
  constructor(root: string = join(homedir(), ".config", "outpost"), env: NodeJS.ProcessEnv = process.env) {
    this.#root = root;
    this.#env = env;
  }

  /** @throws OutpostError `invalid_argument` for what is no name */
  directory(name: string): string {
    return join(this.#root, "contexts", named(ContextName, name));
  }

  /** The folder that `$OUTPOST_CONTEXT_DIR` names, if it does. */
  get fixed(): string | undefined {
    return set(this.#env["OUTPOST_CONTEXT_DIR"]);
  }

  /** @throws OutpostError `not_found` when none is in use, or there is none of that name; `conflict` for one of Outpost 0.1 */
  async inUse(): Promise<ContextInUse> {
    if (this.fixed !== undefined) return { directory: this.fixed };
    const name = await this.nameInUse();
    if (name !== undefined) return { directory: await this.#existing(name), name };
    // Where 0.1 had its only one.
    await refuseOldContext(this.#root);
    const names = await this.#names();
    const data = { directory: this.#root, contexts: names };
    if (names.length === 0) {
      throw new OutpostError(ErrorCode.notFound, `there is no operator's context in ${this.#root}`, { data });
    }
    throw new OutpostError(
      ErrorCode.notFound,
      `no context is in use; say which of ${names.join(", ")} with: outpost context use NAME`,
      { data: { contexts: names } },
    );
  }

  /** By name, whether there is one of it or not. */
  async nameInUse(): Promise<string | undefined> {
    const chosen = set(this.#env["OUTPOST_CONTEXT"]);
    if (chosen !== undefined) return chosen;
    const text = await readFile(join(this.#root, currentFileName), "utf8").catch(() => "");
    return set(text.trim());
  }

  /** All of them, in the order of their names. */
  async list(): Promise<readonly ContextEntry[]> {
    const inUse = await this.nameInUse();
    return Promise.all((await this.#names()).map((name) => this.#entry(name, name === inUse)));
  }

  /** From now on, commands use this one. @throws OutpostError `not_found` */
  async use(name: string): Promise<void> {
    await this.#existing(name);
    const file = join(this.#root, currentFileName);
    await writeFile(`${file}.new`, `${name}\n`);
    await rename(`${file}.new`, file);
  }

  /** Forgets it, its key included. @throws OutpostError `not_found` */
  async remove(name: string): Promise<void> {
    await rm(await this.#existing(name), { recursive: true });
    const file = join(this.#root, currentFileName);
    const current = await readFile(file, "utf8").catch(() => "");
    if (current.trim() === name) await rm(file, { force: true });
  }

  /** Makes the folder above the contexts, for their owner only. */
  async prepare(): Promise<void> {
    const parent = join(this.#root, "contexts");
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await chmod(parent, 0o700);
  }

  async #entry(name: string, inUse: boolean): Promise<ContextEntry> {
    const directory = this.directory(name);
    try {
      return { name, directory, inUse, context: await readContext(directory) };
    } catch (error) {
      return { name, directory, inUse, problem: OutpostError.from(error).message };
    }
  }

  async #existing(name: string): Promise<string> {
    const directory = this.directory(name);
    const names = await this.#names();
    if (names.includes(name)) return directory;
    const others = names.length === 0 ? "; there is none" : `; there are: ${names.join(", ")}`;
    throw new OutpostError(ErrorCode.notFound, `there is no context called ${name}${others}`, {
      data: { context: name, contexts: names },
    });
  }

  async #names(): Promise<string[]> {
    const found = await readdir(join(this.#root, "contexts"), { withFileTypes: true }).catch(() => []);
    return found
      .filter((entry) => entry.isDirectory() && v.is(ContextName, entry.name))
      .map(({ name }) => name)
      .sort();
  }
}

/**
 * Where this user's groups of hosts are: what `$OUTPOST_GROUPS` names, or `groups.yaml` in the folder of the context.
 * @param directory the context's, if there is one
 */
export function groupsFileOf(directory: string | undefined): string | undefined {
  return (
    set(process.env["OUTPOST_GROUPS"]) ??
    (directory === undefined ? undefined : join(directory, "groups.yaml"))
  );
}

function set(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
