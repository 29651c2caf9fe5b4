/**
 * Who may make this host do something: every handler of a request that needs a signature asks here before it acts. The
 * last word on this host, whatever the controller says.
 *
 *     verified ── an operator has signed exactly this, for this host, and it has not expired
 *        ▼
 *     named ───── the operator of whom the controller speaks is the one who signed
 *        ▼
 *     owned ───── a job or session that is there belongs to whoever asks to start it again
 *        ▼
 *     first ───── what must not be carried out twice was not yet
 *        ▼
 *     allowed ─── by this host's policy
 *        ▼
 *     recorded ── in the audit log. Only then the handler acts.
 *
 * A refusal is recorded, too. What cannot be recorded is refused.
 */
import {
  type AuditLog,
  type Decision,
  type NewAuditEntry,
  RequestVerifier,
  type SignatureChecks,
  type VerifiedRequest,
  type VerifyingHost,
} from "@outpost/access";
import {
  type Action,
  type agentMethods,
  type Clock,
  ErrorCode,
  type JobId,
  type JobSpec,
  OutpostError,
  type Params,
  type SessionId,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { HeldJobs, HeldSessions } from "../handlers/context.ts";
import { Admission } from "./admission.ts";
import { record } from "./outcome.ts";
import { type Asked, askedBy, type SignedMethod, type Subject } from "./asked.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Replay } from "./replay.ts";

export interface GateOptions {
  readonly host: VerifyingHost;
  /** The operators' authority, PEM. `undefined`: not known yet, and everything is refused until `trust`. */
  readonly operators: string | undefined;
  readonly policy: Pick<PolicyFile, "decide">;
  readonly audit: Pick<AuditLog, "append">;
  readonly replay: Pick<Replay, "note">;
  readonly jobs: Pick<HeldJobs, "known">;
  readonly sessions: Pick<HeldSessions, "find">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: `RequestVerifier`'s. */
  readonly checks?: SignatureChecks | undefined;
}

type SignedParams<M extends SignedMethod> = Params<typeof agentMethods, M>;

/** What is decided: for a start that was asked for before, another action than what was asked. */
interface Verdict {
  readonly action: Action;
  readonly decision: Decision;
}

/** A request that was let through. */
interface Allowed {
  /** Its sequence number in the audit log. */
  readonly request: number;
  readonly action: Action;
  readonly operator: string;
  readonly subject: Subject;
}

export class Gate {
  readonly #options: GateOptions;
  /** Jobs and sessions that are being made, and who asked for them: until they are made nobody else knows them. */
  readonly #beginning = new Map<JobId | SessionId, string>();
  /** By which request each session was opened. */
  readonly #openedBy = new Map<SessionId, number>();
  #verifier: RequestVerifier | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    if (options.operators !== undefined) this.trust(options.operators);
  }

  /** Requests of operators of this authority (PEM) are believed from now on. */
  trust(operators: string): void {
    const { host, clock, checks } = this.#options;
    this.#verifier = new RequestVerifier({ operators, host, clock, checks });
  }

  /**
   * Decides on a request and records it. The caller MUST say how it ended (`Admission`).
   * @throws OutpostError `denied`, `data.reason` is what `RequestVerifier.verify` says, or `operator`, `owner`, `replay`,
   * `policy` (with `data.rule`); `disk_full`, it cannot be recorded; `limit_exceeded`
   */
  admit<M extends SignedMethod>(method: M, params: SignedParams<M>): Admission {
    // The compiler cannot see that entry and params belong together.
    const asked = (askedBy[method] as (params: SignedParams<M>) => Asked)(params);
    const entry = { kind: "request", action: asked.action, ...this.#facts(asked) } as const;
    let verified: Pick<VerifiedRequest, "name"> | undefined;
    try {
      verified = this.#askerOf(asked);
      const { action, decision } = this.#decide(asked, verified.name);
      if (!decision.allowed) throw this.#refused(verified.name, action, decision);
      const { rule } = decision;
      const request = this.#append({ ...entry, action, operator: verified.name, decision: "allowed", rule });
      return this.#admission({ request, action, operator: verified.name, subject: asked.subject });
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (error.code === ErrorCode.diskFull) throw error;
      const rule = typeof error.data["rule"] === "string" ? { rule: error.data["rule"] } : {};
      const operator = verified === undefined ? {} : { operator: verified.name };
      this.#append({ ...entry, ...operator, ...rule, decision: "denied", message: error.message });
      throw error;
    }
  }

  /**
   * Records what somebody on this host asks for. Their right to it is the socket's, which only they can open.
   * @param user `user@host`
   * @throws OutpostError `disk_full`
   */
  admitLocally(user: string, action: Action, job: JobId, what?: string): Admission {
    const subject: Subject = { kind: "job", id: job };
    const request = this.#append({
      kind: "request",
      action,
      operator: user,
      ...this.#facts({ subject, what }),
      decision: "allowed",
      rule: "local",
    });
    return this.#admission({ request, action, operator: user, subject });
  }

  /**
   * Whether a job's input may be sent: it is not signed, but its start was, and said that there would be some.
   * @throws OutpostError `denied` for a job that no operator has started
   */
  input(job: JobId): void {
    if (this.#options.jobs.known(job)?.isLocal !== true) return;
    throw denied("owner", `job ${job} was started on this host, and its input comes from there`);
  }

  /** The sequence number of the request that opened a session, if it came here. To be asked when the session has ended. */
  requestOf(session: SessionId): number | undefined {
    const request = this.#openedBy.get(session);
    this.#openedBy.delete(session);
    return request;
  }

  /** Who asks. A controller that collects a job's output was told so by who started the job. */
  #askerOf(asked: Asked): Pick<VerifiedRequest, "name"> {
    const known = asked.subject.kind === "job" ? this.#options.jobs.known(asked.subject.id) : undefined;
    if (asked.action === "job.read" && asked.authorization === undefined && known?.collect === true) {
      const name = known.operator as VerifiedRequest["name"] | undefined;
      if (name !== undefined && !known.isLocal) return { name };
    }
    const verified = this.#verify(asked, asked.action === "invoke" && known !== undefined);
    const { name } = verified;
    if (asked.operator !== undefined && asked.operator !== name) {
      throw denied(
        "operator",
        `the controller says that ${asked.operator} asks, but ${name} has signed the request`,
      );
    }
    this.#checkMaking(asked, name);
    this.#checkFirst(asked, verified);
    return verified;
  }

  /** @param late whether it may have expired: how a job stands may be asked for that long after its start */
  #verify({ authorization, action, subject, bound }: Asked, late: boolean): VerifiedRequest {
    if (this.#verifier === undefined) {
      throw denied(
        "certificate",
        "this host does not know yet who its operators are: it joined with an older agent, and takes that over from a controller of version 0.2 or later",
      );
    }
    return this.#verifier.verify(authorization, { action, subject: subject.id, bound }, { late });
  }

  /** Nobody gets at what is somebody else's by asking for it to be made. */
  #checkMaking({ action, subject }: Asked, operator: string): void {
    if (action !== "invoke" && action !== "session.open") return;
    const owner = this.#ownerOf(subject);
    if (owner === undefined || owner === operator) return;
    throw denied("owner", `${subject.kind} ${subject.id} is there already, and is not ${operator}'s`);
  }

  /** What is there already is not made again by asking for it again. */
  #checkFirst({ action, subject, once }: Asked, verified: VerifiedRequest): void {
    if (!once || this.#options.replay.note(verified)) return;
    if (action === "session.open" && this.#ownerOf(subject) !== undefined) return;
    throw denied("replay", `this request of ${verified.name} was carried out before; ask anew`);
  }

  #ownerOf({ kind, id }: Subject): string | undefined {
    const { jobs, sessions } = this.#options;
    const known = kind === "job" ? jobs.known(id) : undefined;
    // `user@host` could be an operator's name as well.
    if (known?.isLocal === true) return "";
    const found = kind === "session" ? sessions.find([id]) : known;
    return this.#beginning.get(id) ?? found?.operator;
  }

  #decide(asked: Asked, operator: string): Verdict {
    const { policy, host, jobs } = this.#options;
    const { subject, configuration, user, bound } = asked;
    const owner = this.#ownerOf(subject);
    // Asked for again it starts nothing, and tells what a reader would be told.
    const isKnown = asked.action === "invoke" && jobs.known(asked.subject.id as JobId) !== undefined;
    const action = isKnown ? "job.read" : asked.action;
    const decision = policy.decide({
      operator,
      action,
      host,
      owner,
      ...(isKnown ? {} : { configuration, user }),
    });
    if (!decision.allowed || isKnown || bound.method !== "job.start" || bound.spec.session === undefined) {
      return { action, decision };
    }
    const control = this.#decideOnSession(operator, bound.spec.session);
    return control.allowed ? { action, decision } : { action: "session.control", decision: control };
  }

  /** A command in a session is as good as typing there. */
  #decideOnSession(operator: string, { ids }: NonNullable<JobSpec["session"]>): Decision {
    const { policy, host, sessions } = this.#options;
    const owner = sessions.find(ids)?.operator;
    return policy.decide({ operator, action: "session.control", host, owner });
  }

  #refused(operator: string, action: Action, { rule, reason }: Decision): OutpostError {
    const { name } = this.#options.host;
    return new OutpostError(
      ErrorCode.denied,
      `${name} itself does not let ${operator} ${action}: ${reason}`,
      {
        data: { reason: "policy", rule },
      },
    );
  }

  #facts({
    subject,
    what,
  }: Pick<Asked, "subject" | "what">): Pick<NewAuditEntry, "hosts" | "subject" | "what"> {
    return { hosts: [this.#options.host.name], subject: subject.id, ...(what === undefined ? {} : { what }) };
  }

  #append(entry: NewAuditEntry): number {
    return this.#options.audit.append(entry);
  }

  #admission(about: Allowed): Admission {
    const { clock } = this.#options;
    const beganMs = clock.monotonicMs();
    const { request, action, operator, subject } = about;
    if (action === "invoke" || action === "session.open") this.#beginning.set(subject.id, operator);
    if (action === "session.open") this.#openedBy.set(subject.id as SessionId, request);
    return new Admission(request, (how) => {
      this.#beginning.delete(subject.id);
      if (how === undefined) return;
      // A session that was not opened has no end.
      if (action === "session.open") this.#openedBy.delete(subject.id as SessionId);
      const durationMs = Math.round(clock.monotonicMs() - beganMs);
      record(this.#options, {
        kind: "outcome",
        action,
        operator,
        ...this.#facts({ subject, what: undefined }),
        of: request,
        ...how,
        durationMs,
      });
    });
  }
}

function denied(reason: string, message: string): OutpostError {
  return new OutpostError(ErrorCode.denied, message, { data: { reason } });
}
