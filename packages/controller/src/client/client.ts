/** The client: hosts, jobs and sessions of one controller, as one operator. What only sessions need is loaded with the
 * first of them: a program that runs one command waits for every module. */
import type {
  FanOutInfo,
  FanOutListParams,
  FanOutSpecResult,
  HostInfo,
  JobId,
  JobInfo,
  JobSpec,
  SessionInfo,
  SessionState,
} from "@outpost/protocol";
import { Administration } from "./administration.ts";
import type { Attachment } from "./attachment.ts";
import { signedStart } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";
import type { EnterOptions } from "./enter.ts";
import type { Copy, CopyFromOptions, CopyToOptions, ResumeCopyOptions } from "./copy.ts";
import { InputSender, openInput } from "./input.ts";
import { Job } from "./job.ts";
import type { Plan, PlanOptions } from "./plan.ts";
import type { Session } from "./session.ts";
import type { OpenedSession, OpenSessionOptions } from "./sessions.ts";
import { checkPlace, sinceVersion3, type StartOptions, startParams } from "./start.ts";

export type { StartOptions } from "./start.ts";

export interface ClientOptions {
  /** Where this user's groups of hosts are; need not be there. Default none. */
  readonly groupsFile?: string | undefined;
}

export class Client implements AsyncDisposable {
  /** Tokens, operators, policy, audit, authorities. */
  readonly administration: Administration;
  readonly #connection: Connection;
  readonly #groupsFile: string | undefined;

  /** @see connect */
  constructor(connection: Connection, context: Context, { groupsFile }: ClientOptions = {}) {
    this.#connection = connection;
    this.#groupsFile = groupsFile;
    this.administration = new Administration(connection, context, (targets) => this.writtenOut(targets));
  }

  /**
   * A target expression with its groups (`@eu-web`) replaced by what they stand for: what is signed and sent. Every method that
   * takes targets does this itself.
   * @throws OutpostError `not_found` for a group that is not there; `invalid_argument`; what a group's command fails with
   */
  async writtenOut(targets: string): Promise<string> {
    if (!targets.includes("@")) return targets;
    const { writtenOut } = await import("./written-out.ts");
    return writtenOut(targets, this.#groupsFile);
  }

  /** @param targets a target expression; default all hosts. @throws OutpostError `not_found`, `invalid_argument` */
  async hosts(targets?: string): Promise<readonly HostInfo[]> {
    const { listHosts } = await import("./listing.ts");
    return listHosts(this.#connection, targets === undefined ? undefined : await this.writtenOut(targets));
  }

  /**
   * Starts a job on every host that the targets select. Resolves when the controller has recorded it: from then on it
   * does not depend on this client.
   * @throws OutpostError `not_found`, `invalid_argument`, `limit_exceeded`, `denied`; `conflict` when a session has ended
   */
  async start(given: StartOptions): Promise<Job> {
    checkPlace(given);
    const options = await this.#withoutGroups(given);
    const secrets =
      options.secrets === undefined ? undefined : (await import("./secrets.ts")).secretsOf(options.secrets);
    const session = await this.#sessionOf(options);
    const wanted = sinceVersion3(options);
    if (wanted !== undefined) await this.#connection.needs(3, wanted);
    const opened = await openInput(options.input);
    const input: JobSpec["input"] = opened.kind === "stream" ? { kind: "stream" } : opened;
    // Signed once: sent again, it is the same start.
    const params = signedStart(this.#connection, startParams(options, { input, session, secrets }));
    const { fanout, hosts } = await this.#connection.request("fanout.start", params);
    const sending = opened.kind === "stream" ? this.#send(params.job, opened.source) : {};
    return new Job({ connection: this.#connection, fanout, hosts, ...sending });
  }

  /**
   * What `start` would do now: on which hosts, in which order and stages. Runs nothing.
   * @throws OutpostError as `start`
   */
  async plan(options: PlanOptions): Promise<Plan> {
    const { plan } = await import("./plan.ts");
    return plan(this, options);
  }

  /**
   * Copies files and directories to every host that the targets select. They are read once, however many hosts there are.
   *
   * @example
   * const copy = await client.copyTo({ sources: ["site"], targets: "role=web", path: "/srv/" });
   * for await (const event of copy.events()) if (event.type === "problem") console.error(event.message);
   * @throws OutpostError as `start`; `not_found` for a source that is not there: nothing is started
   */
  async copyTo(options: CopyToOptions): Promise<Copy> {
    const { copyTo } = await import("./copy.ts");
    return copyTo(this, options);
  }

  /**
   * Copies files and directories from every host that the targets select, each host's into a folder of its own.
   * @throws OutpostError as `start`; `denied`, `conflict` when the directory cannot be written to: nothing is started
   */
  async copyFrom(options: CopyFromOptions): Promise<Copy> {
    const { copyFrom } = await import("./copy.ts");
    return copyFrom(this, options);
  }

  /**
   * Takes up a `copyFrom` that was ended early, from the first byte of every host of which not all was written.
   * @returns undefined when nothing is left
   * @throws OutpostError `not_found`; `invalid_argument` when the job is no such copy; `denied`, `conflict` as `copyFrom`
   */
  async resumeCopy(options: ResumeCopyOptions): Promise<Copy | undefined> {
    const { resumeCopy } = await import("./copy.ts");
    return resumeCopy(this, options);
  }

  /** @param text an id, the beginning of one, or a name. @throws OutpostError `not_found`; `conflict` when several fit */
  async job(text: string): Promise<Job> {
    const { viewOf } = await import("./job-view.ts");
    const { fanout, jobs } = await viewOf(this.#connection, text);
    return new Job({ connection: this.#connection, fanout, hosts: jobs.map(planned) });
  }

  /**
   * What a job was started with, to start it again. Only who started it is told.
   * @throws OutpostError `not_found` when the job is not there, or its specification is forgotten; `denied`
   */
  async spec(job: JobId): Promise<FanOutSpecResult> {
    await this.#connection.needs(3, "what jobs were started with");
    return this.#connection.request("fanout.spec", { job });
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
    return openSession(this.#connection, { ...options, targets: await this.writtenOut(options.targets) });
  }

  /**
   * Opens a temporary session on one host and attaches to it. When `signal` aborts before it is there, it is taken back.
   * @throws OutpostError `invalid_argument` when the target selects several hosts. What else is wrong shows when the
   * events are asked for: `not_found`, `host_unreachable`, `start_failed`, …
   */
  async enter(options: EnterOptions): Promise<Attachment> {
    const { enter } = await import("./enter.ts");
    return enter(this.#connection, { ...options, target: await this.writtenOut(options.target) });
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
    const { listSessions } = await import("./listing.ts");
    return listSessions(this.#connection, await this.#withoutGroups(filter));
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

  async #withoutGroups<O extends { readonly targets?: string | undefined }>(options: O): Promise<O> {
    const { targets } = options;
    return targets === undefined ? options : { ...options, targets: await this.writtenOut(targets) };
  }

  #send(job: JobId, source: AsyncIterable<Uint8Array>): { input: Promise<void> } {
    const input = new InputSender(this.#connection, job, source).run();
    // Whoever holds the job may look at it or not; the jobs' ends say it, too.
    input.catch(() => {});
    return { input };
  }
}

/** A job that was found knows of its hosts what its own jobs need of them. */
function planned({ host, unreachableSince }: JobInfo): Job["hosts"][number] {
  return { host, state: unreachableSince === undefined ? "connected" : "disconnected" };
}
