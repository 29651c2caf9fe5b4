/**
 * Groups of hosts, as this user has named them. They are of this side only: what they stand for is put in their place before
 * anything is signed or sent.
 *
 *     @NAME            of `groups` in the file
 *     @SOURCE:NAME     what a command of `sources` prints; @SOURCE:* all that it knows
 *     @file:PATH       a file with names and patterns, one a line
 *     @LABEL:VALUE     hosts with that label, when no source is called so
 *     @*               all hosts
 *
 * The file is `groups.yaml` in the context's folder, or the one that `$OUTPOST_GROUPS` names:
 *
 *     groups:
 *       eu-web: web* and zone=eu
 *       batch:
 *         - node[001-100]
 *         - "@slurm:gpu"
 *     sources:
 *       slurm:
 *         map: sinfo -h -o %N -p "$GROUP"
 *         list: sinfo -h -o %R
 *         all: sinfo -h -o %N
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Document, nearest, readDocument } from "@outpost/access/document";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { isFact, parse } from "@outpost/protocol/targets";
import * as v from "valibot";
import { askSource } from "./group-source.ts";
import { asExpression, linesOf } from "./group-text.ts";

/** What a group or source is called: 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit. */
const Name = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "is not a group's or source's name (1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit)",
  ),
);

const Command = v.pipe(v.string(), v.nonEmpty("is no command"));

export type GroupSource = v.InferOutput<typeof GroupSource>;
const GroupSource = v.strictObject({
  /** Prints the hosts of the group `$GROUP`. */
  map: Command,
  /** Prints the names of its groups. */
  list: v.optional(Command),
  /** Prints all hosts. Default: those of all groups that `list` prints. */
  all: v.optional(Command),
});

type GroupsFile = v.InferOutput<typeof GroupsFile>;
const GroupsFile = v.strictObject({
  groups: v.optional(v.record(Name, v.union([v.string(), v.array(v.string())])), {}),
  sources: v.optional(
    v.pipe(
      v.record(Name, GroupSource),
      v.check((sources) => !Object.hasOwn(sources, "file"), "cannot be called file: @file:PATH reads a file"),
    ),
    {},
  ),
});

const noGroups: GroupsFile = { groups: {}, sources: {} };

export class Groups {
  readonly #file: string | undefined;
  #read: Promise<GroupsFile> | undefined;

  /** @param file where they are; need not be there */
  constructor(file: string | undefined) {
    this.#file = file;
  }

  /**
   * What `@group` stands for.
   * @param group without its `@`
   * @throws OutpostError `not_found` when there is no such group, or it has no hosts; `invalid_argument` when the file is damaged;
   * `start_failed` when a source's command fails
   */
  async resolve(group: string): Promise<string> {
    if (group === "*") return "*";
    const colon = group.indexOf(":");
    const text =
      colon < 0 ? await this.#named(group) : await this.#from(group.slice(0, colon), group.slice(colon + 1));
    if (text !== "") return text;
    throw new OutpostError(ErrorCode.notFound, `the group @${group} has no hosts`, { data: { group } });
  }

  /** What may stand behind an `@`, without asking any command. */
  async names(): Promise<readonly string[]> {
    const { groups, sources } = await this.#contents();
    return [...Object.keys(groups), ...Object.keys(sources).map((source) => `${source}:`), "file:", "*"];
  }

  async #named(name: string): Promise<string> {
    const { groups } = await this.#contents();
    if (Object.hasOwn(groups, name)) return union(groups[name]!);
    const place =
      this.#file === undefined
        ? "there is no file of groups ($OUTPOST_GROUPS)"
        : `groups are in ${this.#file}`;
    const word = nearest(name, Object.keys(groups));
    const hint = word === undefined ? "" : `; did you mean @${word}?`;
    throw new OutpostError(ErrorCode.notFound, `there is no group @${name}; ${place}${hint}`, {
      data: { group: name },
    });
  }

  async #from(source: string, name: string): Promise<string> {
    const data = { group: `${source}:${name}` };
    if (name === "")
      throw new OutpostError(ErrorCode.invalidArgument, `which group of @${source}: is missing`, { data });
    if (source === "file") return fromFile(name);
    const { sources } = await this.#contents();
    if (!Object.hasOwn(sources, source)) return ofLabel(source, name);
    const commands = sources[source]!;
    return asExpression(
      name === "*" ? await allOf(source, commands) : await askSource(source, commands.map, name),
    );
  }

  #contents(): Promise<GroupsFile> {
    this.#read ??= this.#file === undefined ? Promise.resolve(noGroups) : readGroups(this.#file);
    return this.#read;
  }
}

async function allOf(source: string, { map, list, all }: GroupSource): Promise<readonly string[]> {
  if (all !== undefined) return askSource(source, all, undefined);
  if (list === undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `the source ${source} has neither a command for all hosts ("all") nor one for its groups ("list")`,
      { data: { source } },
    );
  }
  const found: string[] = [];
  for (const group of await askSource(source, list, undefined))
    found.push(...(await askSource(source, map, group)));
  return found;
}

function ofLabel(key: string, value: string): string {
  if (!/^[a-z][a-z0-9._/-]{0,62}$/.test(key)) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no source "${key}", and it cannot be the key of a label either (a-z 0-9 . _ / -)`,
      { data: { source: key } },
    );
  }
  // A fact of that name is not meant.
  return `${isFact(key) ? "label." : ""}${key}="${value.replaceAll(/["\\]/g, "\\$&")}"`;
}

async function fromFile(path: string): Promise<string> {
  const file = path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
  try {
    return asExpression(linesOf(await readFile(file, "utf8")));
  } catch (cause) {
    if (cause instanceof OutpostError) throw cause;
    const why =
      (cause as NodeJS.ErrnoException).code === "ENOENT"
        ? "is not there"
        : `cannot be read: ${(cause as Error).message}`;
    throw new OutpostError(ErrorCode.notFound, `the file ${file} of @file:${path} ${why}`, {
      cause,
      data: { file },
    });
  }
}

function union(expressions: string | readonly string[]): string {
  if (typeof expressions === "string") return expressions.trim();
  if (expressions.length === 1) return expressions[0]!.trim();
  return expressions.map((each) => (/^[^\s()&!^]*$/.test(each.trim()) ? each.trim() : `(${each})`)).join(",");
}

async function readGroups(file: string): Promise<GroupsFile> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return noGroups;
    throw new OutpostError(ErrorCode.invalidArgument, `${file} cannot be read: ${(cause as Error).message}`, {
      cause,
      data: { file },
    });
  }
  const read = readDocument(text, GroupsFile);
  const problems = "problems" in read ? read.problems : groupProblems(read.document);
  const [first] = problems;
  if (first !== undefined) {
    const { line, column, message } = first;
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `${file}:${String(line)}:${String(column)}: ${message}`,
      {
        data: { file, problems },
      },
    );
  }
  return (read as { document: Document<GroupsFile> }).document.value;
}

/** What only reading the expressions shows. Groups that they name may be anywhere, and are looked for when they are needed. */
function groupProblems(document: Document<GroupsFile>): ReturnType<Document<GroupsFile>["problem"]>[] {
  return Object.entries(document.value.groups).flatMap(([name, given]) => {
    const expressions =
      typeof given === "string"
        ? [{ text: given, path: ["groups", name] }]
        : given.map((text, index) => ({ text, path: ["groups", name, index] }));
    return expressions.flatMap(({ text, path }) => {
      try {
        parse(text, { groups: true });
        return [];
      } catch (error) {
        if (!(error instanceof OutpostError)) throw error;
        const { position } = error.data;
        return [document.problem(path, error.message, typeof position === "number" ? position - 1 : 0)];
      }
    });
  });
}
