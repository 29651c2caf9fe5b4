/** From what is wanted of a job to the request that starts it. */
import {
  type Command,
  ConfigurationName,
  type controllerOperatorMethods,
  ErrorCode,
  type JobId,
  type JobSpec,
  newJobId,
  type Offline,
  OutpostError,
  type OutputMode,
  type Params,
  type Rollout,
  type Secrets,
  UserName,
} from "@outpost/protocol";
import type { InputSource } from "./input.ts";
import { named } from "./named.ts";
import type { SecretOptions } from "./secrets.ts";

/** What is run, and how. */
export interface WorkOptions {
  readonly command: Command;
  /** Added to the job's environment. Not with `sessions`, which have their own; nor `cwd`, `configuration`, `user` and
   * `secrets`. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Working directory on the hosts, absolute. Default: home of the user that the job runs as. */
  readonly cwd?: string | undefined;
  /** The configuration of the hosts that it runs under. Default `default`. */
  readonly configuration?: string | undefined;
  /** The user of the hosts that it runs as. Default: the configuration's. */
  readonly user?: string | undefined;
  /** How long the job may run, in milliseconds; enforced on the host. Default no limit. */
  readonly timeoutMs?: number | undefined;
  /** Between SIGTERM and SIGKILL when it is stopped, in milliseconds. Default: the host's setting. */
  readonly graceMs?: number | undefined;
  /** Where it ends with anything but exit code 0 the host runs it again, up to `times` (1 to 100) times more, `delayMs`
   * (default 0) after each end. Not with `sessions`, nor with an input. */
  readonly retry?: { readonly times: number; readonly delayMs?: number | undefined } | undefined;
}

export interface StartOptions extends WorkOptions {
  /** A target expression, e.g. `web1,web2` or `role=web`. May be left out with `sessions`. */
  readonly targets?: string | undefined;
  /** Runs in the shells of these sessions (ids, beginnings of ids, names) instead of in processes of its own: what it
   * sets, the next one sees. On the hosts of these sessions, or those of them that `targets` select. */
  readonly sessions?: readonly string[] | undefined;
  /** What to do where a session runs something else: `wait` (default) for its end, or `fail` with `busy`. */
  readonly busy?: "wait" | "fail" | undefined;
  /** What reaches the job and is written down nowhere. */
  readonly secrets?: SecretOptions | undefined;
  /** For people; need not be unique. */
  readonly name?: string | undefined;
  /** `keep` (default): the output stays on the hosts until it is received. `collect`: the controller receives it. */
  readonly mode?: OutputMode | undefined;
  /** Standard input, the same for every host. Default none (`/dev/null`). */
  readonly input?: InputSource | undefined;
  /** True when a `receive` follows at once: short outputs then travel with the exits. Default false. */
  readonly receiving?: boolean | undefined;
  /** An id made before (`newJobId`): starting twice with it starts one job. Default a new one. */
  readonly job?: JobId | undefined;
  /** What to do about hosts that have no connection: `fail` (default) there as `host_unreachable`, `skip` them, or `queue`:
   * the job is started when they are back. With a roll-out that is asked when a host's turn comes. */
  readonly offline?: Offline | undefined;
  /** How long the job may still be started, in milliseconds: later is too late, for queued hosts and in a roll-out. Up to 30
   * days. Default a day with a roll-out or `offline: "queue"`, else a minute or so, as the controller is set. */
  readonly expiresInMs?: number | undefined;
  /** In which order and how fast the hosts come to their turn. The controller carries it out. Default: all at once. */
  readonly rollout?: Rollout | undefined;
  /** Run on the hosts of each stage of the roll-out that have completed the job, when all of the stage have ended. Where it
   * does not complete, the host has failed. */
  readonly check?: WorkOptions | undefined;
}

const dayMs = 24 * 60 * 60 * 1000;
/** How long a job may still be started in a roll-out, and on hosts that are awaited, in milliseconds. */
export const defaultExpiresMs = dayMs;
/** As long as a removal waits for its host, in milliseconds. */
const maxExpiresMs = 30 * dayMs;

type StartParams = Params<typeof controllerOperatorMethods, "fanout.start">;

/** The request but for what is read of the outside: input, secrets, sessions.
 * @throws OutpostError `invalid_argument` */
export function startParams(
  options: StartOptions,
  read: {
    readonly input: JobSpec["input"];
    readonly session: Pick<JobSpec, "session">;
    readonly secrets: Secrets | undefined;
  },
): Omit<StartParams, "authorization"> {
  const { targets, name, mode = "keep", receiving = false, job = newJobId(), offline, check } = options;
  const rollout = options.rollout ?? (check === undefined ? undefined : {});
  const expiresInMs = expiry(options, rollout);
  return {
    job,
    ...(targets === undefined ? {} : { targets }),
    spec: { ...specOf(options, read.input), ...read.session },
    ...(name === undefined ? {} : { name }),
    mode,
    receiving,
    ...(read.secrets === undefined ? {} : { secrets: read.secrets }),
    ...(offline === undefined || offline === "fail" ? {} : { offline }),
    ...(expiresInMs === undefined ? {} : { expiresInMs }),
    ...(rollout === undefined ? {} : { rollout }),
    ...(check === undefined ? {} : { check: { job: newJobId(), spec: specOf(check, { kind: "none" }) } }),
  };
}

function expiry({ expiresInMs, offline }: StartOptions, rollout: Rollout | undefined): number | undefined {
  if (expiresInMs === undefined) {
    return rollout !== undefined || offline === "queue" ? defaultExpiresMs : undefined;
  }
  if (expiresInMs <= maxExpiresMs) return expiresInMs;
  throw new OutpostError(ErrorCode.invalidArgument, "a start waits for 30 days at most");
}

/** What only version 3 of the protocol knows, and an older controller would leave out without a word. */
export function sinceVersion3({
  retry,
  offline = "fail",
  expiresInMs,
  rollout,
  check,
  command,
}: StartOptions): string | undefined {
  if (rollout !== undefined || check !== undefined) return "roll-outs";
  if (offline !== "fail" || expiresInMs !== undefined) return "starts that wait for their hosts";
  if (retry !== undefined) return "retries";
  return command.kind === "put" || command.kind === "get" ? "copying files" : undefined;
}

/** @throws OutpostError `invalid_argument` */
export function checkPlace(options: StartOptions): void {
  const { targets, sessions = [], env = {}, cwd, configuration, user, secrets = {}, retry, input } = options;
  if (retry !== undefined && input !== undefined) {
    throw refusal("a command that is retried can have no standard input: the first run would have read it");
  }
  if (sessions.length === 0) {
    if (targets !== undefined) return;
    throw refusal("there are neither targets nor sessions");
  }
  if (Object.keys(env).length > 0 || cwd !== undefined) {
    throw refusal("a session has its own environment and working directory; set them there");
  }
  if (configuration !== undefined || user !== undefined) {
    throw refusal("a session has its own configuration and user; it was opened with them");
  }
  if (Object.keys(secrets.env ?? {}).length + Object.keys(secrets.files ?? {}).length > 0) {
    throw refusal(
      "what runs in a session cannot be given secrets: its shell would keep them; run it in a process of its own",
    );
  }
  if (retry !== undefined) {
    throw refusal(
      "what runs in a session is not retried; retry it in the command, or run it without a session",
    );
  }
}

function specOf(options: WorkOptions, input: JobSpec["input"]): JobSpec {
  const { command, env = {}, cwd, timeoutMs, graceMs, configuration, user, retry } = options;
  if (command.kind === "exec" && command.argv.length === 0) throw refusal("there is no command");
  return {
    command,
    env: { ...env },
    input,
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(retry === undefined ? {} : { retry: { times: retry.times, delayMs: retry.delayMs ?? 0 } }),
    ...(configuration === undefined ? {} : { configuration: named(ConfigurationName, configuration) }),
    ...(user === undefined ? {} : { user: named(UserName, user) }),
  };
}

function refusal(message: string): OutpostError {
  return new OutpostError(ErrorCode.invalidArgument, message);
}
