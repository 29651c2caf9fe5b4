/**
 * Everything by which this host decides who may do what, and remembers what was done, put together: the audit log, the
 * policy, the requests that must not come twice, and the gate in front of jobs and sessions.
 */
import { AuditLog, type NewAuditEntry, type SignatureChecks } from "@outpost/access";
import type { Clock, Facts, HostName, Labels } from "@outpost/protocol";
import type { Logger } from "pino";
import type { AgentPaths } from "../directory.ts";
import type { HeldJobs, HeldSessions } from "../handlers/context.ts";
import type { Job } from "../jobs/job.ts";
import { Gate } from "./gate.ts";
import { jobOutcome, record } from "./outcome.ts";
import { PolicyFile, type PolicyState } from "./policy-file.ts";
import { Replay } from "./replay.ts";
import { SessionEnds } from "./session-ends.ts";

export interface HostAccessOptions {
  readonly paths: Pick<AgentPaths, "audit" | "policy" | "replay">;
  /** `facts`: what it says of itself now. */
  readonly host: { readonly name: HostName; readonly labels: Labels; readonly facts?: () => Facts };
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: `RequestVerifier`'s. */
  readonly checks?: SignatureChecks | undefined;
}

export interface GuardedOptions {
  readonly jobs: HeldJobs;
  readonly sessions: HeldSessions;
  /** The operators' authority, PEM, if it is known. */
  readonly operators: string | undefined;
}

export class HostAccess implements Disposable {
  readonly #options: HostAccessOptions;
  readonly #audit: AuditLog;
  readonly #replay: Replay;
  readonly #policy: PolicyFile;
  /** When the last line before ours was written, in milliseconds since 1970. */
  readonly #recordedUntil: number;
  #sessionEnds: SessionEnds | undefined;

  /** @throws when audit log or records cannot be opened */
  static async open(options: HostAccessOptions): Promise<HostAccess> {
    const { paths, clock } = options;
    const audit = AuditLog.open({ directory: paths.audit, clock });
    try {
      const [last] = (await audit.list({ newest: 1 })).entries;
      return new HostAccess(options, audit, last?.time ?? clock.now());
    } catch (error) {
      audit[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(options: HostAccessOptions, audit: AuditLog, recordedUntil: number) {
    const { paths, clock, log } = options;
    this.#options = options;
    this.#audit = audit;
    this.#recordedUntil = recordedUntil;
    this.#replay = new Replay({ file: paths.replay, clock });
    this.event("agent.started");
    this.#policy = new PolicyFile({
      file: paths.policy,
      clock,
      log,
      changed: (state) => this.#policyChanged(state),
    });
  }

  /** The gate in front of these. */
  guard({ jobs, sessions, operators }: GuardedOptions): Gate {
    const { host, clock, log, checks } = this.#options;
    const audit = this.#audit;
    const gate = new Gate({
      host,
      operators,
      policy: this.#policy,
      audit,
      replay: this.#replay,
      jobs,
      sessions,
      clock,
      log,
      checks,
    });
    this.#sessionEnds = new SessionEnds({
      host: host.name,
      sessions,
      recordedUntil: this.#recordedUntil,
      requestOf: (session) => gate.requestOf(session),
      audit,
      log,
    });
    return gate;
  }

  /** A job of this host has ended. */
  jobEnded(job: Job): void {
    this.#record(jobOutcome(this.#options.host.name, job.status(), job.asker));
  }

  /** Something happened that nobody asked for over the wire. */
  event(action: string, what?: string): void {
    const { name } = this.#options.host;
    this.#record({ kind: "event", action, hosts: [name], ...(what === undefined ? {} : { what }) });
  }

  [Symbol.dispose](): void {
    this.#sessionEnds?.[Symbol.dispose]();
    this.#policy[Symbol.dispose]();
    this.event("agent.stopped");
    this.#replay[Symbol.dispose]();
    this.#audit[Symbol.dispose]();
  }

  #policyChanged(state: PolicyState): void {
    const words = { none: "policy.gone", loaded: "policy.loaded", bad: "policy.bad" } as const;
    this.event(words[state.kind], state.kind === "bad" ? state.problem : undefined);
  }

  #record(entry: NewAuditEntry): void {
    record({ audit: this.#audit, log: this.#options.log }, entry);
  }
}
