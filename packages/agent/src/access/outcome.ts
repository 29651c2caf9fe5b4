/** How what was allowed has ended, for the audit log: of jobs and sessions that may be long after the request. */
import type { AuditLog, NewAuditEntry } from "@outpost/access";
import type { HostName, JobStatus, SessionStatus } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Asker } from "../jobs/job.ts";

export type Outcome = Pick<NewAuditEntry, "outcome" | "message" | "bytes" | "durationMs">;

export interface Recording {
  readonly audit: Pick<AuditLog, "append">;
  readonly log: Logger;
}

/** Records what has happened already: on a full disk that is logged, and nothing else can be done about it. */
export function record({ audit, log }: Recording, entry: NewAuditEntry): void {
  try {
    audit.append(entry);
  } catch (error) {
    log.error({ err: error, ...entry }, "cannot write to the audit log");
  }
}

/** A job has ended. */
export function jobOutcome(host: HostName, status: JobStatus, { operator, request }: Asker): NewAuditEntry {
  const { job, state, startedAt, endedAt, reason, output } = status;
  return {
    kind: "outcome",
    action: "invoke",
    hosts: [host],
    subject: job,
    outcome: state,
    bytes: output.stdout.written + output.stderr.written,
    ...(operator === undefined ? {} : { operator }),
    ...(request === undefined ? {} : { of: request }),
    ...(reason === undefined ? {} : { message: reason.message }),
    ...(startedAt === undefined || endedAt === undefined
      ? {}
      : { durationMs: Math.max(0, endedAt - startedAt) }),
  };
}

/** A session has ended, or is forgotten. @param request the sequence number of its `session.open`, as far as that is known */
export function sessionOutcome(
  host: HostName,
  status: SessionStatus,
  request: number | undefined,
): NewAuditEntry {
  const { session, operator, createdAt, endedAt, reason, output } = status;
  return {
    kind: "outcome",
    action: "session.open",
    operator,
    hosts: [host],
    subject: session,
    outcome: reason?.code ?? "removed",
    bytes: output.written,
    ...(request === undefined ? {} : { of: request }),
    ...(reason === undefined ? {} : { message: reason.message }),
    ...(endedAt === undefined ? {} : { durationMs: Math.max(0, endedAt - createdAt) }),
  };
}
