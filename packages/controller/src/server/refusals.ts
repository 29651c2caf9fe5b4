/**
 * Connections that were refused though whoever made them is known: written to the audit log. An agent that was removed dials
 * again and again, so the same refusal is written once a minute.
 */
import type { Identity } from "@outpost/access";
import type { Clock, HostId } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Catalogue } from "./catalogue/catalogue.ts";

/** What the audit log takes of it. */
export interface RefusalEvents {
  refusal(entry: {
    readonly action: "connection.refused";
    readonly subject: string;
    readonly operator?: string;
    readonly hosts?: string[];
    readonly message: string;
  }): void;
}

export interface RefusalsOptions {
  readonly catalogue: Catalogue;
  readonly presence: { host(id: HostId): { readonly name: string } | undefined };
  readonly audit: RefusalEvents;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Logger;
}

const onceWithinMs = 60_000;

/** So many are told apart; each costs about 200 bytes. Beyond that all are written anew. */
const maxRemembered = 4_096;

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #written = new Map<string, number>();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** @param message why */
  note(identity: Identity, message: string): void {
    const { audit, clock, log } = this.#options;
    const { kind, id } = identity;
    const now = clock.monotonicMs();
    const key = `${id} ${message}`;
    if (now - (this.#written.get(key) ?? -Infinity) < onceWithinMs) return;
    if (this.#written.size >= maxRemembered) this.#written.clear();
    this.#written.set(key, now);
    log.warn({ [kind]: id, reason: message }, "a connection was refused");
    const name = this.#nameOf(identity);
    const who = name === undefined ? {} : kind === "host" ? { hosts: [name] } : { operator: name };
    audit.refusal({ action: "connection.refused", subject: id, ...who, message });
  }

  #nameOf({ kind, id }: Identity): string | undefined {
    const { catalogue, presence } = this.#options;
    const present = kind === "host" ? presence.host(id) : catalogue.operators.byId(id);
    return present?.name ?? catalogue.removals.byId(id)?.name;
  }
}
