/**
 * Starts that are not sent when they are asked for: of hosts whose turn comes later, or that have to come back first.
 *
 *     queued ──▶ begun, recorded and synced ──▶ sent          so what is not recorded as begun was certainly never sent
 *
 * Between the two lies a crash at the worst, and then the host's inventory shows that it has to be sent again.
 */
import { type Clock, ErrorCode, type JobSpec, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Audit } from "./audit.ts";
import type { Authorisation } from "./authorisation.ts";
import type { HostLink } from "./bus.ts";
import type { Dispatch, PackedStart } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { Job } from "./job.ts";
import type { Presence } from "./presence.ts";
import { unpackSpec } from "./spec.ts";
import { touchedHost } from "./target-hosts.ts";

export interface StartsOptions {
  readonly authorisation: Authorisation;
  readonly audit: Pick<Audit, "request">;
  /** Whether there is an operator of that name. */
  readonly isOperator: (name: string) => boolean;
  readonly presence: Presence;
  readonly fanOuts: FanOuts;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Some jobs of one fan-out job. */
export interface Batch {
  readonly fanOut: FanOut;
  readonly jobs: readonly Job[];
}

/** What the starts of a fan-out job have in common. */
interface Prepared {
  readonly spec: JobSpec | undefined;
  /** Packed once for all hosts; `undefined`: it cannot be sent any more. */
  readonly packed: PackedStart | undefined;
}

/** After a write that failed, as with a full disk, in milliseconds. */
const retryMs = 1_000;

export class Starts {
  readonly #options: StartsOptions;
  readonly #prepared = new WeakMap<FanOut, Prepared>();

  constructor(options: StartsOptions) {
    this.#options = options;
  }

  /** The start as it was packed when it was asked for. Without, it is packed again when the first is to be sent. */
  keep(fanOut: FanOut, packed: PackedStart): void {
    this.#prepared.set(fanOut, { spec: specOf(fanOut), packed });
  }

  /** Nothing more of it will be sent. */
  drop(fanOut: FanOut): void {
    this.#prepared.delete(fanOut);
  }

  /** Lets jobs begin: records it with everything else that waits to be written, then sends. A disk that is full delays them;
   * what became of a job in the meantime counts. */
  begin(batches: readonly Batch[]): void {
    // Before anybody hears of it: when its last job has begun, a fan-out job may be dropped here.
    const prepared = batches
      .filter(({ jobs }) => jobs.length > 0)
      .map((batch) => ({ ...batch, ...this.#prepare(batch.fanOut) }));
    for (const { fanOut, jobs } of prepared) {
      for (const job of jobs) {
        job.begin();
        this.#options.fanOuts.note(fanOut, job, true);
      }
    }
    this.#record(prepared);
  }

  /** Ends a job of which nothing was sent, and never will be. */
  withhold(
    fanOut: FanOut,
    job: Job,
    state: "failed" | "stopped",
    code: "expired" | "skipped" | "not_begun" | "stopped" | "host_unreachable",
    message: string,
    by?: string,
  ): void {
    this.#options.dispatch.settle(fanOut, job, state, code, message, by);
  }

  #record(batches: readonly (Batch & Prepared)[]): void {
    const { fanOuts, clock, log } = this.#options;
    try {
      fanOuts.flush("synced");
    } catch (error) {
      log.error({ err: error }, "starts that are due could not be recorded, and wait; trying again");
      clock.after(retryMs, () => this.#recordAgain(batches));
      return;
    }
    for (const batch of batches) this.#send(batch);
  }

  #recordAgain(batches: readonly (Batch & Prepared)[]): void {
    try {
      this.#record(batches);
    } catch (error) {
      this.#options.log.error({ err: error }, "starts that were due have met a fault");
    }
  }

  #send({ fanOut, jobs, spec, packed }: Batch & Prepared): void {
    const { dispatch } = this.#options;
    const due = jobs.filter((job) => !job.isEnded && job.waiting === undefined);
    if (packed === undefined || spec === undefined) {
      for (const job of due) dispatch.secretsLost(fanOut, job);
      return;
    }
    const able = due.filter((job) => !dispatch.isTooOld(fanOut, job, spec));
    dispatch.start(fanOut, packed, this.#allowed(fanOut, able, spec));
  }

  /** Sends a start that was begun, and of which its host knows nothing, if it still may be. */
  again(fanOut: FanOut, job: Job, link: HostLink): void {
    const spec = specOf(fanOut);
    if (spec !== undefined && this.#allowed(fanOut, [job], spec).length > 0) {
      this.#options.dispatch.restart(fanOut, job, link);
    }
  }

  #prepare(fanOut: FanOut): Prepared {
    const known = this.#prepared.get(fanOut);
    if (known !== undefined) return known;
    const prepared = { spec: specOf(fanOut), packed: this.#options.dispatch.packAgain(fanOut) };
    this.#prepared.set(fanOut, prepared);
    return prepared;
  }

  /** A roll-out may go on for days: what the policy does not allow any more does not begin, nor anything of somebody who is no
   * operator any more. Those that are refused have ended. */
  #allowed(fanOut: FanOut, jobs: readonly Job[], spec: JobSpec): Job[] {
    const { dispatch, isOperator } = this.#options;
    const gone = isOperator(fanOut.operator) ? undefined : noOperator(fanOut.operator);
    const refused: [Job, OutpostError][] = [];
    const allowed = jobs.filter((job) => {
      const refusal = gone ?? this.#refusal(fanOut, job, spec);
      if (refusal !== undefined) refused.push([job, refusal]);
      return refusal === undefined;
    });
    this.#auditRefused(fanOut, refused);
    for (const [job, { message }] of refused) {
      dispatch.settle(fanOut, job, "failed", "denied", `${message}; nothing ran there`);
    }
    return allowed;
  }

  /** What a job in a session may is its session's affair, and was decided when it was asked for. */
  #refusal(fanOut: FanOut, job: Job, { session, configuration, user }: JobSpec): OutpostError | undefined {
    const { authorisation, presence } = this.#options;
    if (session !== undefined) return undefined;
    const host = { ...touchedHost(presence, job, undefined), configuration, user };
    try {
      authorisation.authorise({ operator: fanOut.operator, needs: [{ action: "invoke", hosts: [host] }] });
      return undefined;
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (error.code !== ErrorCode.denied) throw reason;
      return error;
    }
  }

  /** The request's own line says that it was allowed. */
  #auditRefused(fanOut: FanOut, refused: readonly [Job, OutpostError][]): void {
    const { audit, log } = this.#options;
    const [first] = refused;
    if (first === undefined) return;
    const [, { message, data }] = first;
    try {
      audit.request({
        action: "invoke",
        operator: fanOut.operator,
        decision: "denied",
        message,
        ...(typeof data["rule"] === "string" ? { rule: data["rule"] } : {}),
        hosts: refused.map(([{ hostName }]) => hostName),
        subject: fanOut.id,
        what: fanOut.record.command,
      });
    } catch (error) {
      log.error(
        { job: fanOut.id, err: error },
        "that starts were refused could not be written to the audit log",
      );
    }
  }
}

function noOperator(name: string): OutpostError {
  return new OutpostError(ErrorCode.denied, `${name} is no operator any more`, { data: { operator: name } });
}

function specOf({ record: { spec } }: FanOut): JobSpec | undefined {
  return spec === undefined ? undefined : unpackSpec(spec);
}
