/**
 * The configurations of this host: one YAML file each, `NAME.yaml`, in a folder that only the agent's user (or root) may
 * write to. Looked up at each request, so an edit holds from the next one on; what runs keeps what it began with.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import { ConfigurationName, ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { ownerProblem } from "../file-owner.ts";
import { type Configuration, openConfiguration } from "./configuration.ts";
import { parseConfiguration } from "./configuration-file.ts";

/** The largest file that is read, in bytes. */
const maxFileBytes = 1024 * 1024;

export interface ListedConfiguration {
  readonly name: string;
  /** Absent: there is no file, and it is what every host offers. */
  readonly file?: string;
  readonly configuration?: Configuration;
  /** Why it cannot be used. */
  readonly error?: OutpostError;
}

export class Configurations {
  readonly #directory: string;
  readonly #cache = new Map<string, { readonly key: string; readonly configuration: Configuration }>();

  /** @param directory need not be there */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Whether somebody has replaced what every host offers as `default`. */
  get replacesDefault(): boolean {
    return this.#exists(openConfiguration.name);
  }

  /**
   * @param name default `default`
   * @throws OutpostError `not_found`; `denied` when its file could be somebody else's or cannot be read; `invalid_argument`
   */
  find(name: string = openConfiguration.name): Configuration {
    // A name becomes a path: nothing but a name may.
    if (!v.is(ConfigurationName, name)) throw notFound(name);
    if (!this.#exists(name)) {
      if (name === openConfiguration.name) return openConfiguration;
      throw notFound(name);
    }
    checkOwner(this.#directory, lstatSync(this.#directory));
    return this.#read(name);
  }

  /** All, by name, those that cannot be used included. */
  list(): ListedConfiguration[] {
    const names = this.#names();
    const all = names.includes(openConfiguration.name) ? names : [openConfiguration.name, ...names];
    return all.sort().map((name) => {
      const file = this.#exists(name) ? { file: this.path(name) } : {};
      try {
        return { name, ...file, configuration: this.find(name) };
      } catch (error) {
        return { name, ...file, error: OutpostError.from(error) };
      }
    });
  }

  path(name: string): string {
    return join(this.#directory, `${name}.yaml`);
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory)
        .filter((file) => file.endsWith(".yaml"))
        .map((file) => file.slice(0, -".yaml".length))
        .filter((name) => v.is(ConfigurationName, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #exists(name: string): boolean {
    return lstatSync(this.path(name), { throwIfNoEntry: false }) !== undefined;
  }

  #read(name: string): Configuration {
    const path = this.path(name);
    const file = openFile(path);
    try {
      const stats = fstatSync(file);
      checkFile(path, stats);
      const key = [stats.dev, stats.ino, stats.mtimeMs, stats.ctimeMs, stats.size].join(" ");
      const cached = this.#cache.get(name);
      if (cached?.key === key) return cached.configuration;
      const configuration = parseConfiguration(name, readFileSync(file, "utf8"), path);
      this.#cache.set(name, { key, configuration });
      return configuration;
    } finally {
      closeSync(file);
    }
  }
}

function openFile(path: string): number {
  try {
    // A link would be as trustworthy as where it leads to; a pipe would keep us waiting.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ELOOP" ? "it is a symbolic link; put the file itself there" : String(code);
    throw denied(path, why);
  }
}

function checkFile(path: string, stats: Stats): void {
  if (!stats.isFile()) throw denied(path, "it is not a regular file");
  checkOwner(path, stats);
  if (stats.size > maxFileBytes) throw denied(path, `it is larger than ${String(maxFileBytes)} bytes`);
}

/** @throws OutpostError `denied` when somebody else could have written it */
function checkOwner(path: string, stats: Stats): void {
  const problem = ownerProblem(path, stats, "write configurations");
  if (problem !== undefined) throw denied(path, `it ${problem}`);
}

function denied(path: string, why: string): OutpostError {
  return new OutpostError(ErrorCode.denied, `the configuration ${path} cannot be used: ${why}`, {
    data: { file: path, directory: dirname(path) },
  });
}

function notFound(name: string): OutpostError {
  return new OutpostError(
    ErrorCode.notFound,
    `this host has no configuration ${JSON.stringify(name)}; \`outpost-agent configuration list\` on it shows which there are`,
  );
}
