/**
 * `GET /metrics` at the controller's own port: for operators whom the policy allows `metrics.read`, by their certificate. What
 * is collected every few seconds is written to the audit log once an hour for each operator; each refusal is.
 */
import { type Clock, ErrorCode, OutpostError } from "@outpost/protocol";
import type { RequestEntry } from "../audit.ts";
import type { Authorisation } from "../authorisation.ts";
import type { Caller } from "../doors.ts";
import type { Page } from "../server.ts";

export interface MetricsPageOptions {
  readonly doors: { operator(caller: Caller): { readonly name: string } };
  readonly authorisation: Pick<Authorisation, "authorise">;
  readonly audit: { request(entry: RequestEntry): unknown };
  readonly clock: Pick<Clock, "monotonicMs">;
  /** `undefined`: nothing is measured. */
  readonly metrics: { readonly type: string; text(): Promise<string> } | undefined;
}

const auditEveryMs = 60 * 60 * 1000;

export class MetricsPage {
  readonly #options: MetricsPageOptions;
  /** When the audit log was last told of each operator. */
  readonly #written = new Map<string, number>();

  constructor(options: MetricsPageOptions) {
    this.#options = options;
  }

  /** @returns `undefined` for another path */
  async answer(caller: Caller): Promise<Page | undefined> {
    if (caller.path !== "/metrics") return undefined;
    try {
      this.#authorise(caller);
    } catch (reason) {
      const { code, message } = OutpostError.from(reason);
      return plain(code === ErrorCode.denied ? 403 : 503, message);
    }
    const { metrics } = this.#options;
    if (metrics === undefined) {
      return plain(
        404,
        "this controller measures nothing; start it with --metrics (outpost controller start --help)",
      );
    }
    return { status: 200, type: metrics.type, text: await metrics.text() };
  }

  /** @throws OutpostError `denied`; `disk_full` */
  #authorise(caller: Caller): void {
    const { doors, authorisation, audit } = this.#options;
    const { name } = doors.operator(caller);
    const about = { action: "metrics.read", operator: name } as const;
    let rule: string;
    try {
      rule = authorisation.authorise({ operator: name, needs: [{ action: about.action, hosts: [] }] });
    } catch (error) {
      const { message, data } = OutpostError.from(error);
      const by = typeof data["rule"] === "string" ? { rule: data["rule"] } : {};
      audit.request({ ...about, decision: "denied", message, ...by });
      throw error;
    }
    if (!this.#isDue(name)) return;
    audit.request({ ...about, decision: "allowed", rule, what: "collect metrics, as often as wanted" });
  }

  #isDue(operator: string): boolean {
    const now = this.#options.clock.monotonicMs();
    if (now - (this.#written.get(operator) ?? -Infinity) < auditEveryMs) return false;
    this.#written.set(operator, now);
    return true;
  }
}

function plain(status: Page["status"], message: string): Page {
  return { status, type: "text/plain; charset=utf-8", text: `${message}\n` };
}
