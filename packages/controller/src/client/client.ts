/** The client: hosts, jobs and sessions of one controller, as one operator. What only sessions need is loaded with the
 * first of them: a program that runs one command waits for every module. */
import {
  type Command,
  ConfigurationName,
  ErrorCode,
  type FanOutInfo,
  type FanOutListParams,
  type HostInfo,
  type JobId,
  type JobInfo,
  type JobSpec,
  newJobId,
  OutpostError,
  type OutputMode,
  type SessionInfo,
  type SessionState,
  UserName,
} from "@outpost/protocol";
import { Administration } from "./administration.ts";
import type { Attachment } from "./attachment.ts";
import { signedStart } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";
import type { EnterOptions } from "./enter.ts";
import { InputSender, type InputSource, openInput } from "./input.ts";
import { Job } from "./job.ts";
import { named } from "./named.ts";
import type { SecretOptions } from "./secrets.ts";
import type { Session } from "./session.ts";
import type { OpenedSession, OpenSessionOptions } from "./sessions.ts";

export interface StartOptions {
  /** A target expression, e.g. `web1,web2` or `role=web`. May be left out with `sessions`. */
  readonly targets?: string | undefined;
  /** Runs in the shells of these sessions (ids, beginnings of ids, names) instead of in processes of its own: what it
   * sets, the next one sees. On the hosts of these sessions, or those of them that `targets` select. */
  readonly sessions?: readonly string[] | undefined;
  /** What to do where a session runs something else: `wait` (default) for its end, or `fail` with `busy`. */
  readonly busy?: "wait" | "fail" | undefined;
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
  /** What reaches the job and is written down nowhere. */
  readonly secrets?: SecretOptions | undefined;
  /** How long the job may run, in milliseconds; enforced on the host. Default no limit. */
  readonly timeoutMs?: number | undefined;
  /** Between SIGTERM and SIGKILL when it is stopped, in milliseconds. Default: the host's setting. */
  readonly graceMs?: number | undefined;
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
}

export class Client implements AsyncDisposable {
  /** Tokens, operators, policy, audit, authorities. */
  readonly administration: Administration;
  readonly #connection: Connection;

  /** @see connect */
  constructor(connection: Connection, context: Context) {
    this.#connection = connection;
    this.administration = new Administration(connection, context);
  }

  /** @param targets a target expression; default all hosts. @throws OutpostError `not_found`, `invalid_argument` */
  async hosts(targets?: string): Promise<readonly HostInfo[]> {
    const { hosts } = await this.#connection.request("host.list", targets === undefined ? {} : { targets });
    return hosts;
  }

  /**
   * Starts a job on every host that the targets select. Resolves when the controller has recorded it: from then on it
   * does not depend on this client.
   * @throws OutpostError `not_found`, `invalid_argument`, `limit_exceeded`, `denied`; `conflict` when a session has ended
   */
  async start(options: StartOptions): Promise<Job> {
    const { targets, name, mode = "keep", receiving = false, job = newJobId() } = options;
    checkPlace(options);
    const secrets =
      options.secrets === undefined ? undefined : (await import("./secrets.ts")).secretsOf(options.secrets);
    const session = await this.#sessionOf(options);
    const opened = await openInput(options.input);
    const input: JobSpec["input"] = opened.kind === "stream" ? { kind: "stream" } : opened;
    // Signed once: sent again, it is the same start.
    const params = signedStart(this.#connection, {
      job,
      ...(targets === undefined ? {} : { targets }),
      spec: { ...specOf(options, input), ...session },
      ...(name === undefined ? {} : { name }),
      mode,
      receiving,
      ...(secrets === undefined ? {} : { secrets }),
    });
    const { fanout, hosts } = await this.#connection.request("fanout.start", params);
    const sending = opened.kind === "stream" ? this.#send(job, opened.source) : {};
    return new Job({ connection: this.#connection, fanout, hosts, ...sending });
  }

  /** @param text an id, the beginning of one, or a name. @throws OutpostError `not_found`; `conflict` when several fit */
  async job(text: string): Promise<Job> {
    const { fanout, jobs } = await this.#connection.request("fanout.show", { job: text });
    return new Job({ connection: this.#connection, fanout, hosts: jobs.map(planned) });
  }

  /** The newest first. */
  async jobs(filter: FanOutListParams = {}): Promise<readonly FanOutInfo[]> {
    const { fanouts } = await this.#connection.request("fanout.list", filter);
    return fanouts;
  }

  /**
   * Opens a session on every host that the targets select, all with one id. It lasts until its shell ends, it is removed,
   * or it was disconnected and idle for its idle time.
   *
   * @example
   * const { session } = await client.openSession({ targets: "web1", name: "deploy" });
   * const job = await client.start({ sessions: [session.id], command: { kind: "shell", text: "cd /srv" } });
   * @throws OutpostError `not_found`, `invalid_argument`; why, when it could be opened on no host
   */
  async openSession(options: OpenSessionOptions): Promise<OpenedSession> {
    const { openSession } = await import("./sessions.ts");
    return openSession(this.#connection, options);
  }

  /**
   * Opens a temporary session on one host and attaches to it. When `signal` aborts before it is there, it is taken back.
   * @throws OutpostError `invalid_argument` when the target selects several hosts. What else is wrong shows when the
   * events are asked for: `not_found`, `host_unreachable`, `start_failed`, …
   */
  async enter(options: EnterOptions): Promise<Attachment> {
    const { enter } = await import("./enter.ts");
    return enter(this.#connection, options);
  }

  /**
   * @param reference an id, the beginning of one, or a name
   * @param options.host only on this host; needed when sessions on several hosts have the name
   * @throws OutpostError `not_found`; `conflict` when several fit
   */
  async session(reference: string, options: { readonly host?: string | undefined } = {}): Promise<Session> {
    const { findSession } = await import("./sessions.ts");
    return findSession(this.#connection, reference, options.host);
  }

  /** @param filter.targets a target expression; default all hosts @param filter.states only these states */
  async sessions(
    filter: { readonly targets?: string | undefined; readonly states?: readonly SessionState[] } = {},
  ): Promise<readonly SessionInfo[]> {
    const { targets, states } = filter;
    const { sessions } = await this.#connection.request("session.list", {
      ...(targets === undefined ? {} : { targets }),
      ...(states === undefined ? {} : { states: [...states] }),
    });
    return sessions;
  }

  /** Leaves. Jobs and sessions go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #sessionOf({ sessions = [], busy = "wait" }: StartOptions): Promise<Pick<JobSpec, "session">> {
    if (sessions.length === 0) return {};
    const { liveSessionIds } = await import("./sessions.ts");
    return { session: { ids: await liveSessionIds(this.#connection, sessions), busy } };
  }

  #send(job: JobId, source: AsyncIterable<Uint8Array>): { input: Promise<void> } {
    const input = new InputSender(this.#connection, job, source).run();
    // Whoever holds the job may look at it or not; the jobs' ends say it, too.
    input.catch(() => {});
    return { input };
  }
}

/** @throws OutpostError `invalid_argument` */
function checkPlace(options: StartOptions): void {
  const { targets, sessions = [], env = {}, cwd, configuration, user, secrets = {} } = options;
  const refuse = (message: string): OutpostError => new OutpostError(ErrorCode.invalidArgument, message);
  if (sessions.length === 0) {
    if (targets !== undefined) return;
    throw refuse("there are neither targets nor sessions");
  }
  if (Object.keys(env).length > 0 || cwd !== undefined) {
    throw refuse("a session has its own environment and working directory; set them there");
  }
  if (configuration !== undefined || user !== undefined) {
    throw refuse("a session has its own configuration and user; it was opened with them");
  }
  if (Object.keys(secrets.env ?? {}).length + Object.keys(secrets.files ?? {}).length > 0) {
    throw refuse(
      "what runs in a session cannot be given secrets: its shell would keep them; run it in a process of its own",
    );
  }
}

function specOf(options: StartOptions, input: JobSpec["input"]): JobSpec {
  const { command, env = {}, cwd, timeoutMs, graceMs, configuration, user } = options;
  if (command.kind === "exec" && command.argv.length === 0) {
    throw new OutpostError(ErrorCode.invalidArgument, "there is no command");
  }
  return {
    command,
    env: { ...env },
    input,
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(configuration === undefined ? {} : { configuration: named(ConfigurationName, configuration) }),
    ...(user === undefined ? {} : { user: named(UserName, user) }),
  };
}

/** A job that was found knows of its hosts what its own jobs need of them. */
function planned({ host, unreachableSince }: JobInfo): Job["hosts"][number] {
  return { host, state: unreachableSince === undefined ? "connected" : "disconnected" };
}
