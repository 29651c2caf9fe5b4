/** What an unfinished word could become, from the commands' tables and what the controller knows. */
import type { Client } from "../client/index.ts";
import { type Command, type Completion, type Option, positionalsOf } from "./command.ts";
import { commands, groups } from "./commands/index.ts";

export interface Candidate {
  readonly word: string;
  readonly about?: string;
}

/** Asking the controller must not hold up the one who types, in milliseconds. */
const askMs = 1_000;

/** @param words behind `outpost`, the last of them unfinished (perhaps empty) */
export async function completions(words: readonly string[]): Promise<Candidate[]> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  if (before.includes("--")) return [];
  const found = await candidates(before, current);
  return found.filter(({ word }) => word.startsWith(current));
}

async function candidates(before: readonly string[], current: string): Promise<Candidate[]> {
  const [first, second] = before;
  if (first === undefined) return firstWords();
  if (Object.hasOwn(groups, first)) {
    if (second === undefined) return secondWords(first);
    const entry = commands[`${first} ${second}`];
    return entry === undefined ? [] : ofCommand(await entry.load(), before.slice(2), current);
  }
  const entry = Object.hasOwn(commands, first) ? commands[first] : undefined;
  return entry === undefined ? [] : ofCommand(await entry.load(), before.slice(1), current);
}

function firstWords(): Candidate[] {
  const single = Object.entries(commands)
    .filter(([name, { hidden }]) => hidden !== true && !name.includes(" "))
    .map(([word, { summary }]) => ({ word, about: summary }));
  return [...Object.entries(groups).map(([word, about]) => ({ word, about })), ...single];
}

function secondWords(group: string): Candidate[] {
  return Object.entries(commands)
    .filter(([name]) => name.startsWith(`${group} `))
    .map(([name, { summary }]) => ({ word: name.slice(group.length + 1), about: summary }));
}

async function ofCommand(command: Command, before: readonly string[], current: string): Promise<Candidate[]> {
  const previous = before.at(-1);
  const valued = previous === undefined ? undefined : optionOf(command, previous);
  if (valued !== undefined && valued.kind !== "flag") return values(valued, current);
  if (current.startsWith("-")) return optionWords(command, before);
  const wanted = positionalsOf(command, (option) => before.includes(`--${option}`));
  const last = wanted.at(-1);
  const positional = wanted[positionalsIn(command, before)] ?? (last?.several === true ? last : undefined);
  return positional === undefined ? optionWords(command, before) : values(positional, current);
}

function optionOf({ options }: Command, word: string): Option<unknown> | undefined {
  if (word.startsWith("--")) return options[word.slice(2)];
  return Object.values(options).find(({ short }) => short !== undefined && word === `-${short}`);
}

function optionWords({ options }: Command, before: readonly string[]): Candidate[] {
  const own = Object.entries(options)
    .filter(([name, { kind }]) => kind === "list" || !before.includes(`--${name}`))
    .map(([name, { describe }]) => ({ word: `--${name}`, about: describe }));
  return [...own, { word: "--help", about: "Show help" }];
}

function positionalsIn(command: Command, before: readonly string[]): number {
  let count = 0;
  for (const [index, word] of before.entries()) {
    if (word.startsWith("-")) continue;
    const option = index === 0 ? undefined : optionOf(command, before[index - 1]!);
    if (option === undefined || option.kind === "flag") count++;
  }
  return count;
}

interface Completed {
  readonly choices?: readonly string[];
  readonly complete?: Completion;
}

async function values({ choices, complete }: Completed, current: string): Promise<Candidate[]> {
  if (choices !== undefined) return choices.map((word) => ({ word }));
  switch (complete) {
    case "targets":
      return targets(current);
    case "hosts":
      return (await hosts()).map(({ word, about }) => ({ word, about }));
    case "jobs":
      return jobs();
    case "sessions":
      return sessions(current);
    case "operators":
      return asked(async (client) =>
        (await client.administration.operators()).map(({ name, state }) => ({ word: name, about: state })),
      );
    case "tokens":
      return asked(async (client) =>
        (await client.administration.tokens()).map(({ id, createdBy }) => ({
          word: id,
          about: `by ${createdBy}`,
        })),
      );
    case "contexts":
      return contexts();
    case "files":
    case "directories":
    case undefined:
      // The shell knows files.
      return [];
    default:
      return complete satisfies never;
  }
}

/** Hosts, labels and groups, behind the operators that are there already. */
async function targets(current: string): Promise<Candidate[]> {
  const head = /^(?:.*[,&!^(\s])?/.exec(current)![0];
  if (current.startsWith("@", head.length)) return groupNames(head);
  const chosen = new Set(head.split(/[,&!^(\s]/));
  const found = await hosts();
  const labels = [...new Set(found.flatMap(({ labels: each }) => each))].map((word) => ({
    word,
    about: "label",
  }));
  return [...found, ...labels]
    .filter(({ word }) => !chosen.has(word))
    .map(({ word, about }) => ({ word: `${head}${word}`, about }));
}

/** Of this machine: nobody is asked. */
async function groupNames(head: string): Promise<Candidate[]> {
  const { groupsHere } = await import("../client/written-out.ts");
  const names = await groupsHere().then(
    (groupsOfUser) => groupsOfUser.names(),
    () => [],
  );
  return names.map((name) => ({ word: `${head}@${name}`, about: "group" }));
}

async function hosts(): Promise<{ word: string; about: string; labels: string[] }[]> {
  return asked(async (client) =>
    (await client.hosts()).map(({ name, state, labels }) => ({
      word: name,
      about: state,
      labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    })),
  );
}

async function jobs(): Promise<Candidate[]> {
  return asked(async (client) =>
    (await client.jobs()).flatMap(({ job, name, state, command }) => {
      const about = `${state}: ${command.slice(0, 40)}`;
      return name === undefined
        ? [{ word: job, about }]
        : [
            { word: job, about },
            { word: name, about },
          ];
    }),
  );
}

/** Names and ids, behind the commas that are there already. */
async function sessions(current: string): Promise<Candidate[]> {
  const head = current.slice(0, current.lastIndexOf(",") + 1);
  const found = await asked(async (client) => [...(await client.sessions())]);
  const about = new Map<string, string>();
  for (const { host, status } of found) {
    const { name, session, state } = status;
    const word = name ?? session;
    about.set(word, about.has(word) ? `${about.get(word)!}, ${host}` : `${state} on ${host}`);
  }
  return [...about].map(([word, text]) => ({ word: `${head}${word}`, about: text }));
}

/** Of this machine: nobody is asked. */
async function contexts(): Promise<Candidate[]> {
  const { Contexts } = await import("../client/index.ts");
  return (await new Contexts().list()).map(({ name, context }) =>
    context === undefined
      ? { word: name }
      : { word: name, about: `${context.name} at ${context.controller}` },
  );
}

async function asked<T>(ask: (client: Client) => Promise<T[]>): Promise<T[]> {
  const { connect } = await import("../client/index.ts");
  const late = AbortSignal.timeout(askMs);
  // The answer, too, has its time: a controller may accept connections and say nothing.
  const silence = new Promise<T[]>((resolve) => late.addEventListener("abort", () => resolve([])));
  const answer = connect({ signal: late, reconnectForMs: 0 }).then(async (client) => {
    await using open = client;
    return await ask(open);
  });
  return Promise.race([answer, silence]);
}
