/**
 * What the programs and files of `facts.d` say. They run as the agent's user, so nobody but that user and root may be able
 * to write them, and one after the other: a host has better things to do.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type CustomFacts, limits } from "@outpost/protocol";
import { ownerProblem } from "../file-owner.ts";
import { maxPrintedBytes, runFactProgram } from "./fact-program.ts";
import { type FactsRead, type FactValue, readFacts } from "./fact-text.ts";

/** Why a file, or part of it, gives no facts. */
export interface FactProblem {
  readonly file: string;
  /** The end of a sentence that begins with the file's name. */
  readonly message: string;
}

export interface CustomFactsFound {
  readonly facts: CustomFacts;
  readonly problems: readonly FactProblem[];
}

export interface CustomFactsOptions {
  /** Need not be there. The facts of a later one replace those of an earlier one. */
  readonly folders: readonly string[];
  /** How long each program may take, in milliseconds. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const defaultTimeoutMs = 10_000;

/** More files are not looked at, and more facts not told. */
const maxFiles = 64;
const maxFacts = 128;

/** Never rejects. */
export async function gatherCustomFacts(options: CustomFactsOptions): Promise<CustomFactsFound> {
  const facts = new Map<string, FactValue>();
  const problems: FactProblem[] = [];
  for (const folder of options.folders) {
    const { files, problem } = listFolder(folder);
    if (problem !== undefined) problems.push({ file: folder, message: problem });
    for (const file of files) {
      const path = join(folder, file);
      const read = await readFile(path, options);
      const room = addFacts(facts, read.facts) ? [] : [tooMany];
      problems.push(...[...read.problems, ...room].map((message) => ({ file: path, message })));
      if (options.signal?.aborted === true) break;
    }
  }
  return { facts: Object.fromEntries(facts), problems };
}

const tooMany = `gives more facts than are told: all files together ${String(maxFacts)}, and ${String(limits.maxCustomFactsLength)} characters as JSON`;

/** @returns whether there was room for all */
function addFacts(all: Map<string, FactValue>, some: FactsRead["facts"]): boolean {
  let fits = true;
  for (const [name, value] of Object.entries(some)) {
    const before = all.get(name);
    all.set(name, value);
    if (all.size <= maxFacts && lengthOf(all) <= limits.maxCustomFactsLength) continue;
    fits = false;
    if (before === undefined) all.delete(name);
    else all.set(name, before);
  }
  return fits;
}

function lengthOf(facts: ReadonlyMap<string, FactValue>): number {
  return JSON.stringify(Object.fromEntries(facts)).length;
}

function listFolder(folder: string): { readonly files: readonly string[]; readonly problem?: string } {
  try {
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (found === undefined) return { files: [] };
    if (!found.isDirectory()) return { files: [], problem: "is not a folder" };
    const problem = ownerProblem(folder, found, "say what runs as the agent");
    if (problem !== undefined) return { files: [], problem };
    // What editors and package managers leave behind is nobody's fact.
    const files = readdirSync(folder)
      .filter(
        (name) =>
          /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) && !/\.(?:bak|swp|orig|dpkg-.*|rpm.*)$/.test(name),
      )
      .sort();
    if (files.length <= maxFiles) return { files };
    const most = `holds ${String(files.length)} files, of which the first ${String(maxFiles)} are looked at`;
    return { files: files.slice(0, maxFiles), problem: most };
  } catch (error) {
    return { files: [], problem: `cannot be read: ${String((error as NodeJS.ErrnoException).code)}` };
  }
}

async function readFile(path: string, options: CustomFactsOptions): Promise<FactsRead> {
  try {
    const opened = openFile(path);
    if ("problem" in opened) return failed(opened.problem);
    const name = basename(path)
      .replace(/\.[^.]*$/, "")
      .toLowerCase();
    if (opened.text !== undefined) return readFacts(opened.text, name, true);
    const { timeoutMs = defaultTimeoutMs, signal } = options;
    const result = await runFactProgram(path, { timeoutMs, signal });
    return "problem" in result ? failed(result.problem) : readFacts(result.text, name);
  } catch (error) {
    return failed(`cannot be read: ${String((error as NodeJS.ErrnoException).code ?? error)}`);
  }
}

function failed(problem: string): FactsRead {
  return { facts: {}, problems: [problem] };
}

/** @returns the text of a file that is to be read; none: it is to be run */
function openFile(path: string): { readonly text?: string } | { readonly problem: string } {
  let file: number;
  try {
    // A link would be as trustworthy as where it leads to; a pipe would keep us waiting.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      problem:
        code === "ELOOP"
          ? "is a symbolic link; put the file itself there"
          : `cannot be read: ${String(code)}`,
    };
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) return { problem: "is not a regular file" };
    const problem = ownerProblem(path, found, "say what runs as the agent");
    if (problem !== undefined) return { problem };
    if ((found.mode & 0o111) !== 0) return {};
    if (!path.endsWith(".json")) {
      return { problem: `is neither executable nor called NAME.json; is it a program? chmod +x ${path}` };
    }
    if (found.size > maxPrintedBytes) return { problem: `is larger than ${String(maxPrintedBytes)} bytes` };
    return { text: readFileSync(file, "utf8") };
  } finally {
    closeSync(file);
  }
}
