/** The way into a session: finds the session, makes the job, and asks for it. */
import { ErrorCode, type JobId, OutpostError, type SessionStatus } from "@outpost/protocol";
import { checkOperator, type Configuration } from "../configurations/index.ts";
import { HandedDirectory } from "../handed-directory.ts";
import { findAccount } from "../platform/index.ts";
import { fileError, type Intake } from "./intake.ts";
import type { Job } from "./job.ts";
import type { JobDirectory, JobTerms, StartRequest } from "./job-directory.ts";
import type { JobStore } from "./job-store.ts";
import { prepareInSession } from "./session-launcher.ts";
import { noSessions, type SessionShells } from "./session-shells.ts";

export class SessionIntake {
  readonly #store: JobStore;
  readonly #intake: Intake;
  readonly #shells: SessionShells;
  readonly #accepting = new Map<JobId, Promise<Job>>();

  constructor(store: JobStore, intake: Intake) {
    this.#store = store;
    this.#intake = intake;
    this.#shells = store.options.sessions ?? noSessions;
  }

  /** Resolves when a job that is being taken in is, or is not. */
  async accepted(id: JobId): Promise<void> {
    await this.#accepting.get(id)?.catch(() => {});
  }

  /**
   * Takes a job in that was never here. With `busy: "wait"` it is pending then, as long as it is not its turn; with
   * `fail` it has started, or ended.
   * @throws OutpostError `invalid_argument`; `not_found`, none of the sessions is here; `conflict`, the session has ended;
   * `busy`; `denied`, the session's configuration is not for that operator; `start_failed`, the session host does not start; and as `Intake.accept`. Nothing is left of it then.
   */
  accept(params: StartRequest): Promise<Job> {
    const pending = this.#accepting.get(params.job);
    if (pending !== undefined) return pending;
    const accepting = this.#accept(params).finally(() => this.#accepting.delete(params.job));
    this.#accepting.set(params.job, accepting);
    return accepting;
  }

  async #accept(params: StartRequest): Promise<Job> {
    const session = await this.#find(params);
    const configuration = this.#intake.configurationOf(params, session.configuration);
    checkOperator(configuration, params.operator);
    const terms = termsOf(params, configuration, session);
    const { job, directory } = this.#intake.admit(params, configuration, terms, session.session);
    if (!job.ended) await this.#begin(job, directory, params, session, terms);
    return job;
  }

  async #find({ spec, secrets }: StartRequest): Promise<SessionStatus> {
    const { ids } = spec.session!;
    if (spec.configuration !== undefined || spec.user !== undefined) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        "a command in a session runs under the session's configuration and as its user; leave --configuration and --user out",
      );
    }
    if (secrets !== undefined) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        "a session cannot be given secrets: its shell would pass them on to every later command; use a job of its own",
      );
    }
    if (Object.keys(spec.env).length > 0 || spec.cwd !== undefined) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        "a command in a session has the session's environment and working directory: set them there, with `export` and `cd`",
      );
    }
    await this.#shells.ready();
    const found = this.#shells.find(ids);
    if (found === undefined) {
      const which = ids.length === 1 ? `session ${ids[0]!}` : `any of the ${String(ids.length)} sessions`;
      throw new OutpostError(ErrorCode.notFound, `this host does not have ${which}`);
    }
    checkRuns(found);
    return found;
  }

  async #begin(
    job: Job,
    directory: JobDirectory,
    { spec, operator }: StartRequest,
    { session }: SessionStatus,
    terms: JobTerms,
  ): Promise<void> {
    const { input, graceMs } = spec;
    const { busy } = spec.session!;
    const limits = { ...terms, ...(graceMs === undefined ? {} : { graceMs }) };
    try {
      const handed = this.#handedTo(job, terms.user);
      const { files, onFeederDied } = prepareInSession(directory, spec, handed);
      if (input.kind === "inline") job.inputBytes = input.bytes.byteLength;
      const running = this.#store.watchInSession(
        {
          job,
          directory,
          session,
          busy,
          operator,
          spec: limits,
          shells: this.#shells,
          ...(handed === undefined ? {} : { runDirectory: handed.path }),
          files,
        },
        input.kind === "stream",
      );
      onFeederDied(() => running.stop("stopped", "the process that feeds its input died"));
      await running.begin();
    } catch (reason) {
      const error = fileError(reason);
      this.#store.withdraw(job, { code: "refused", message: error.message });
      throw error;
    }
  }

  /** Where the shell of another user finds the job's files. @throws OutpostError `start_failed` */
  #handedTo({ id }: Job, user: string | undefined): HandedDirectory | undefined {
    if (user === undefined) return undefined;
    const { handed } = this.#store.options;
    const account = findAccount(user);
    if (handed === undefined || account === undefined)
      throw new OutpostError(ErrorCode.startFailed, `there is no user '${user}' on this host any more`);
    return new HandedDirectory(handed, "jobs", id, account);
  }
}

function termsOf({ spec }: StartRequest, { name, limits }: Configuration, { user }: SessionStatus): JobTerms {
  return {
    configuration: name,
    ...(user === undefined ? {} : { user }),
    ...(spec.timeoutMs === undefined ? {} : { timeoutMs: spec.timeoutMs }),
    ...(limits.outputBytes === undefined ? {} : { maxOutputBytes: limits.outputBytes }),
  };
}

/** @throws OutpostError `conflict` when the session has ended; `invalid_argument` when commands cannot be given to its shell */
function checkRuns({ session, name, state, shell, integration, reason }: SessionStatus): void {
  const called = name ?? session;
  if (state === "closed" || state === "broken") {
    throw new OutpostError(
      ErrorCode.conflict,
      `session ${called} has ended${reason === undefined ? "" : `: ${reason.message}`}`,
    );
  }
  if (integration === "none") {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `commands cannot be given to ${shell}, the shell of session ${called}: only to bash, zsh and sh; enter it instead`,
    );
  }
}
