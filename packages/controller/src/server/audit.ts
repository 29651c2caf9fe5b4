/**
 * The controller's audit log: who asked for what and what was decided, before anything is done about it; how it ended;
 * and what nobody asked for over the wire. What may go into a line is decided where the line is made: a command as people
 * write it, never its environment, input or secrets.
 */
import { AuditLog, type NewAuditEntry } from "@outpost/access";
import type { AuditListParams, AuditListResult, AuditVerification, Clock } from "@outpost/protocol";
import type { Logger } from "pino";

export type RequestEntry = Omit<NewAuditEntry, "kind" | "of" | "outcome" | "bytes" | "durationMs">;
export type OutcomeEntry = Omit<NewAuditEntry, "kind" | "of" | "decision" | "rule">;
export type EventEntry = Omit<NewAuditEntry, "kind" | "of" | "decision" | "rule">;

/** Somebody without a certificate can be refused as often as they like, and MUST NOT push everything else out of the log:
 * of one such event so many are written within the time, the rest are counted. */
const maxRepeated = 20;
const repeatedWithinMs = 60_000;

interface Repeated {
  since: number;
  written: number;
  left: number;
}

export class Audit implements Disposable {
  readonly #lines: AuditLog;
  readonly #clock: Pick<Clock, "now">;
  readonly #log: Logger;
  readonly #repeated = new Map<string, Repeated>();

  private constructor(lines: AuditLog, clock: Pick<Clock, "now">, log: Logger) {
    this.#lines = lines;
    this.#clock = clock;
    this.#log = log;
  }

  /** Opens the log of that directory, or makes it. @throws OutpostError `disk_full` */
  static open(directory: string, clock: Pick<Clock, "now">, log: Logger): Audit {
    return new Audit(AuditLog.open({ directory, clock }), clock, log);
  }

  /** Somebody has asked. MUST be called before anything is done. @returns the line's number, for its outcome
   * @throws OutpostError `disk_full`; the request is refused then */
  request(entry: RequestEntry): number {
    return this.#lines.append({ ...entry, kind: "request" });
  }

  /** How a request has ended. Never throws: what was done is done, and that it was asked for is written. */
  outcome(of: number, entry: OutcomeEntry): void {
    this.#orLog({ ...entry, kind: "outcome", of });
  }

  /** What nobody asked for over the wire, e.g. `host.enrolled`. @throws OutpostError `disk_full` */
  event(entry: EventEntry): void {
    this.#lines.append({ ...entry, kind: "event" });
  }

  /**
   * Something that anybody can bring about as often as they like, e.g. `connection.refused`. Never throws. Of many within
   * a minute only the first 20 are written; the next one after that says how many were left out.
   */
  refusal(entry: EventEntry): void {
    const now = this.#clock.now();
    let repeated = this.#repeated.get(entry.action);
    if (repeated === undefined || now - repeated.since >= repeatedWithinMs || now < repeated.since) {
      const left = repeated?.left ?? 0;
      repeated = { since: now, written: 0, left: 0 };
      this.#repeated.set(entry.action, repeated);
      if (left > 0) {
        const message = `${String(left)} more like the ones before this were not written down`;
        this.#orLog({ kind: "event", action: entry.action, message });
      }
    }
    if (repeated.written < maxRepeated) {
      repeated.written++;
      this.#orLog({ ...entry, kind: "event" });
    } else {
      repeated.left++;
    }
  }

  list(filter: AuditListParams): Promise<AuditListResult> {
    return this.#lines.list(filter);
  }

  verify(): Promise<AuditVerification> {
    return this.#lines.verify();
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }

  #orLog(entry: NewAuditEntry): void {
    try {
      this.#lines.append(entry);
    } catch (error) {
      this.#log.error({ err: error, entry }, "a line could not be written to the audit log");
    }
  }
}
