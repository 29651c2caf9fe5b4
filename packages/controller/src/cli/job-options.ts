/** What `invoke` and `job start` have in common: what to run, where and how. */
import { basename } from "node:path";
import type { Client, StartOptions } from "../client/index.ts";
import { choice, flag, type Given, list, type Positional, under, value } from "./command.ts";
import { parseDuration } from "./duration.ts";
import { configurationOptions } from "./configuration-options.ts";
import { type GivenStart, kindPositional, parseKinds, type Rerun, rerunOptions } from "./rerun-options.ts";
import { rolloutOptions, rolloutStart } from "./rollout-options.ts";
import { readSecrets, secretOptions } from "./secret-options.ts";
import { unreadableText } from "./unreadable.ts";
import { UsageError } from "./usage-error.ts";

export const targetsPositional: Positional = {
  name: "TARGETS",
  describe:
    "the hosts: names (web1,web2), patterns ('web*'), ranges ('web[01-20]'), labels (role=db), facts ('mem>=8GiB'), groups " +
    "(@eu), joined by , & ! ^ and or not ( ), see docs/targets.md",
  complete: "targets",
};

/** The hosts of a job, which may go without saying when it runs in sessions, or where an earlier one ran. */
const jobTargetsPositional: Positional = { ...targetsPositional, unless: ["session", "rerun"] };

/** The words of a command that starts jobs. */
export const jobPositionals: readonly Positional[] = [kindPositional, jobTargetsPositional];

const workOptions = {
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
  ...secretOptions,
  ...configurationOptions,
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

export const jobOptions = {
  ...under("What to run", workOptions),
  ...rolloutOptions,
  ...rerunOptions,
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
export async function startOptions(name: string, given: JobGiven): Promise<GivenStart> {
  const {
    env,
    cwd,
    timeout,
    stdin,
    name: jobName,
    session,
    busy,
    configuration,
    user,
    check,
  } = given.options;
  if (session !== undefined) checkInSession(name, given);
  const rerun = rerunOf(name, given);
  const place = { env: Object.fromEntries(env), cwd, configuration, user };
  return {
    targets: targetsOf(given),
    sessions: session,
    busy: session === undefined ? undefined : busy,
    command: hasCommand(given) || rerun === undefined ? await commandOf(name, given) : undefined,
    ...place,
    secrets: await readSecrets(name, given.options),
    timeoutMs: timeout,
    name: jobName,
    ...rolloutStart(name, given.options, session !== undefined),
    // As the job itself: it looks at what that has done.
    ...(check === undefined
      ? {}
      : { check: { command: { kind: "shell", text: check }, ...place, timeoutMs: timeout } }),
    ...(stdin ? { input: process.stdin as AsyncIterable<Uint8Array> } : {}),
    rerun,
  };
}

/** What is to be started. @throws OutpostError when an earlier job cannot be run again */
export async function started(client: Client, given: GivenStart): Promise<StartOptions> {
  const { rerun, command, ...options } = given;
  if (rerun === undefined) return { ...options, command: command! };
  return (await import("./rerun.ts")).resolved(client, { ...options, command }, rerun);
}

function targetsOf({ positionals, options }: JobGiven): string | undefined {
  return positionals[options.rerun === undefined ? 0 : 1];
}

function rerunOf(name: string, { positionals, options }: JobGiven): Rerun | undefined {
  const { rerun: job, session } = options;
  if (job === undefined) return undefined;
  if (session !== undefined) {
    throw new UsageError("--rerun runs where the earlier job ran; leave --session out", name);
  }
  return { job, kinds: parseKinds(positionals[0]!, name) };
}

function hasCommand({ options, rest }: JobGiven): boolean {
  return options.command !== undefined || options.script !== undefined || (rest ?? []).length > 0;
}

/** What a session has, and what runs in it cannot bring along. @throws UsageError */
function checkInSession(name: string, { options }: JobGiven): void {
  const { env, cwd, configuration, user } = options;
  if (env.length > 0 || cwd !== undefined) {
    throw new UsageError(
      "a session has its own environment and directory: set them there, with export and cd",
      name,
    );
  }
  if (configuration !== undefined || user !== undefined) {
    throw new UsageError("a session has its own configuration and user: those that it was opened with", name);
  }
  if (options["env-secret"].length > 0 || options["secret-file"].length > 0) {
    throw new UsageError("a session's shell would keep the secrets: run it without --session", name);
  }
}

async function commandOf(name: string, given: JobGiven): Promise<StartOptions["command"]> {
  const { options, rest } = given;
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
      targetsOf(given),
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
    throw new UsageError(`--script: ${file} ${unreadableText(error)}`, name);
  }
}
