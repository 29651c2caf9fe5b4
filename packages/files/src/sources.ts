/** What is to be copied: from paths as somebody wrote them to the entries at the top of a file stream. */
import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { compareNames } from "./entry-path.ts";
import { kindText } from "./kind-text.ts";
import { expandPattern, isPattern } from "./patterns.ts";
import { reasonText } from "./system-error.ts";

/** Something at the top of a stream. A link that was named is followed, as by cp -H. */
export interface Source {
  readonly path: string;
  /** What it is called in the stream. */
  readonly name: string;
  /** Absent for what lies in a directory of which the content is wanted: not looked at yet, and not followed. */
  readonly stats?: Stats;
}

export interface Missing {
  readonly path: string;
  /** The end of a sentence that begins with the path. */
  readonly message: string;
}

export interface Sources {
  /** In the order of their names. */
  readonly sources: readonly Source[];
  readonly missing: readonly Missing[];
  /** There are several at the top, or there may be: patterns, and contents of directories. */
  readonly many: boolean;
}

export interface SourceOptions {
  /** Paths may be patterns. A path that is there is none. Default false. */
  readonly patterns?: boolean | undefined;
  /** A named pipe that is named is read. Default false: it is missing, as sockets and devices are. */
  readonly pipes?: boolean | undefined;
  /** How many paths one pattern may stand for, in number: each is looked at before anything is copied. With more it is missing.
   * Default 100,000. */
  readonly maxFound?: number | undefined;
}

const defaultMaxFound = 100_000;

/** Looks at what was asked for. `DIR/.`, `.` and `/` are the content of a directory, everything else is itself. */
export async function findSources(paths: readonly string[], options: SourceOptions = {}): Promise<Sources> {
  const found = new Map<string, Source>();
  const missing: Missing[] = [];
  let many = paths.length > 1;
  const add = (source: Source): void => {
    const other = found.get(source.name);
    if (other === undefined) found.set(source.name, source);
    else if (resolve(other.path) !== resolve(source.path)) {
      missing.push({
        path: source.path,
        message: `would have the same name as ${other.path} where it goes; copy them one after the other`,
      });
    }
  };
  for (const path of paths) {
    const each = await pathsOf(path, options);
    many ||= each.isPattern;
    if (each.paths === undefined) {
      missing.push({
        path,
        message: `matches more than ${String(options.maxFound ?? defaultMaxFound)} paths; copy their directory`,
      });
      continue;
    }
    if (each.paths.length === 0) missing.push({ path, message: "nothing matches that" });
    for (const one of each.paths) {
      const content = await contentOf(one, missing);
      if (content === "missing") continue;
      if (content !== undefined) many = true;
      if (content !== undefined) {
        content.forEach(add);
        continue;
      }
      const source = await sourceOf(one, missing);
      if (source?.stats === undefined) continue;
      // What a pattern finds beside files is left out by the reader, with a word.
      if (each.isPattern || isRead(source.stats, options)) add(source);
      else missing.push({ path: one, message: `is ${kindText(source.stats)}, which cannot be copied` });
    }
  }
  const sources = [...found.values()].toSorted((left, right) => compareNames(left.name, right.name));
  return { sources, missing, many };
}

async function pathsOf(
  path: string,
  { patterns = false, maxFound = defaultMaxFound }: SourceOptions,
): Promise<{ readonly paths: readonly string[] | undefined; readonly isPattern: boolean }> {
  if (!patterns || !isPattern(path)) return { paths: [path], isPattern: false };
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere
    ? { paths: [path], isPattern: false }
    : { paths: await expandPattern(path, maxFound), isPattern: true };
}

/** What lies in a directory of which the content is meant; `undefined`: it itself is meant. */
async function contentOf(
  path: string,
  missing: Missing[],
): Promise<readonly Source[] | "missing" | undefined> {
  const isContent = /(^|\/)\.{1,2}\/*$/.test(path) || /^\/+$/.test(path);
  if (!isContent) return undefined;
  try {
    const names = await readdir(path);
    return names.map((name) => ({ path: join(path, name), name }));
  } catch (error) {
    missing.push({ path, message: reasonText(error) });
    return "missing";
  }
}

async function sourceOf(path: string, missing: Missing[]): Promise<Source | undefined> {
  try {
    return { path, name: basename(path), stats: await stat(path) };
  } catch (error) {
    missing.push({ path, message: reasonText(error) });
    return undefined;
  }
}

function isRead(stats: Stats, { pipes = false }: SourceOptions): boolean {
  return stats.isFile() || stats.isDirectory() || (pipes && stats.isFIFO());
}
