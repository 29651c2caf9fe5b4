/** What `invoke` and `job start` have in common: what to run, where and how. */
import { basename } from "node:path";
import type { StartOptions } from "../client/index.ts";
import { choice, flag, type Given, list, type Positional, value } from "./command.ts";
import { parseDuration } from "./duration.ts";
import { UsageError } from "./usage-error.ts";

export const targetsPositional: Positional = {
  name: "TARGETS",
  describe: "the hosts: names, patterns and labels, separated by commas, e.g. web1,web2 or 'web*' or role=db",
  complete: "targets",
};

/** The hosts of a job, which may go without saying when it runs in sessions. */
export const jobTargetsPositional: Positional = { ...targetsPositional, unless: "session" };

export const jobOptions = {
  command: value("Shell text, run by the host's sh -c, instead of a command behind --", {
    short: "c",
    argument: "TEXT",
  }),
  script: value("A local script, run there by its own #! line; its arguments come behind --", {
    argument: "FILE",
    complete: "files",
  }),
  stdin: flag("Give our standard input to the command, the same to every host"),
  env: list("An environment variable of the job, KEY=VALUE", { argument: "KEY=VALUE", parse: parseVariable }),
  cwd: value("The working directory on the hosts; default: the home of the job's user", {
    argument: "DIR",
    parse: parseRemoteDirectory,
  }),
  timeout: value("How long it may run, e.g. 30s, 5m, 2h; default: no limit", {
    argument: "DURATION",
    parse: parseDuration,
  }),
  name: value("A name for the job, to find it again", { argument: "NAME" }),
  session: value(
    "In the shells of these sessions (ids or names, separated by commas), on their hosts or those of them that TARGETS select",
    { argument: "SESSION[,SESSION]", parse: parseSessions, complete: "sessions" },
  ),
  busy: choice("What to do where the session runs something else: wait for its end, or fail", [
    "wait",
    "fail",
  ]),
} as const;

function parseSessions(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new Error("is not a list of sessions");
  return names;
}

export function parseVariable(text: string): readonly [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new Error("is not KEY=VALUE");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Relative to what? Our own directory means nothing on a host. */
export function parseRemoteDirectory(text: string): string {
  if (!text.startsWith("/")) throw new Error("is not an absolute path");
  return text;
}

type JobGiven = Given<typeof jobOptions>;

/** @param name of the command, for errors. @throws UsageError; OutpostError `invalid_argument` for an unreadable script */
export async function startOptions(name: string, given: JobGiven): Promise<StartOptions> {
  const { env, cwd, timeout, stdin, name: jobName, session, busy } = given.options;
  if (session !== undefined && (env.length > 0 || cwd !== undefined)) {
    throw new UsageError(
      "a session has its own environment and directory: set them there, with export and cd",
      name,
    );
  }
  return {
    targets: given.positionals[0],
    sessions: session,
    busy: session === undefined ? undefined : busy,
    command: await commandOf(name, given),
    env: Object.fromEntries(env),
    cwd,
    timeoutMs: timeout,
    name: jobName,
    ...(stdin ? { input: process.stdin as AsyncIterable<Uint8Array> } : {}),
  };
}

async function commandOf(
  name: string,
  { positionals, options, rest }: JobGiven,
): Promise<StartOptions["command"]> {
  const { command: text, script } = options;
  if (text !== undefined && script !== undefined) {
    throw new UsageError("-c and --script exclude each other", name);
  }
  if (text !== undefined) {
    if (rest !== undefined && rest.length > 0) {
      throw new UsageError("-c takes shell text alone; write the arguments into it", name);
    }
    return { kind: "shell", text };
  }
  if (script !== undefined) {
    return {
      kind: "script",
      name: basename(script),
      body: await readScript(script, name),
      args: [...(rest ?? [])],
    };
  }
  if (rest === undefined || rest.length === 0) {
    const place = [
      positionals[0],
      options.session === undefined ? undefined : `--session ${options.session.join(",")}`,
    ];
    const head = ["outpost", name, ...place.filter((part) => part !== undefined)].join(" ");
    throw new UsageError(`what to run is missing: ${head} -- COMMAND, or -c TEXT, or --script FILE`, name);
  }
  return { kind: "exec", argv: [...rest] };
}

async function readScript(file: string, name: string): Promise<Uint8Array> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--script: ${file} ${unreadableText(code)}`, name);
  }
}

function unreadableText(code: string | undefined): string {
  switch (code) {
    case "ENOENT":
      return "is not there";
    case "EISDIR":
      return "is a directory";
    case "EACCES":
      return "may not be read by you";
    default:
      return `cannot be read (${String(code)})`;
  }
}
