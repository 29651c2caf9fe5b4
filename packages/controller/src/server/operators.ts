/**
 * Who may use the controller. An operator is a row in the catalogue and a key that only they have:
 *
 *     add ──▶ invited ──first connection, within its time──▶ active ──remove──▶ gone: refused, and told by whom
 *                └──time is over──▶ refused; can be added anew
 *
 * The first connection of an invited one fixes its key, so that a sign-in bundle is of use once, whoever used it.
 */
import type { OperatorIdentity } from "@outpost/access";
import {
  type Clock,
  ErrorCode,
  newOperatorId,
  type OperatorAddParams,
  type OperatorId,
  type OperatorInfo,
  type OperatorName,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { OperatorRecord } from "./catalogue/operators.ts";
import type { Connections } from "./connections.ts";

export interface OperatorsOptions {
  readonly catalogue: Catalogue;
  readonly connections: Connections;
  readonly audit: OperatorEvents;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the audit log takes of it. */
export interface OperatorEvents {
  event(entry: {
    readonly action: "operator.signed-in";
    readonly operator: string;
    readonly subject: string;
    readonly what: string;
  }): void;
}

export class Operators {
  readonly #options: OperatorsOptions;

  constructor(options: OperatorsOptions) {
    this.#options = options;
  }

  /** By name. */
  list(): OperatorInfo[] {
    return this.#options.catalogue.operators.all().map((operator) => this.#info(operator));
  }

  /** @throws OutpostError `not_found` */
  get(name: OperatorName): OperatorRecord {
    const operator = this.#options.catalogue.operators.byName(name);
    if (operator !== undefined) return operator;
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no operator called ${name}; \`outpost operator list\` shows them`,
      { data: { operator: name } },
    );
  }

  /** Enters an operator who is to sign in within `ttlMs`. Who was invited and did not come in time is invited anew.
   * @throws OutpostError `conflict` when the name is taken; `disk_full` */
  add({ name, ttlMs }: OperatorAddParams, by: string): OperatorInfo {
    const { catalogue, clock } = this.#options;
    const now = clock.now();
    const before = catalogue.operators.byName(name);
    if (before !== undefined && (before.key !== undefined || before.invitedUntil > now)) {
      throw taken(before);
    }
    const added: OperatorRecord = {
      id: newOperatorId(),
      name,
      createdAt: now,
      invitedUntil: now + ttlMs,
      key: undefined,
      signedInAt: undefined,
      lastSeen: undefined,
    };
    catalogue.transaction("synced", () => {
      if (before !== undefined) this.#delete(before, by, now);
      catalogue.operators.insert(added);
    });
    return this.#info(added);
  }

  /**
   * Puts an operator out: their connections end now, and no other is let in. Their jobs and sessions stay.
   * @param by who asks, by name
   * @throws OutpostError `not_found`; `conflict` for oneself: the last one who may add others would lock everybody out;
   * `disk_full`
   */
  remove(name: OperatorName, by: string): OperatorInfo {
    const { catalogue, connections, clock } = this.#options;
    const operator = this.get(name);
    if (name === by) {
      throw new OutpostError(
        ErrorCode.conflict,
        "nobody can remove themselves, so that somebody is left who can let others in; ask another operator",
      );
    }
    const info = this.#info(operator);
    catalogue.transaction("synced", () => this.#delete(operator, by, clock.now()));
    connections.end(
      operator.id,
      new OutpostError(ErrorCode.denied, `the operator ${name} was removed by ${by}`),
    );
    return info;
  }

  /**
   * Somebody has shown a certificate of the operators' authority, and that they have its key. Of one who is invited this
   * key is the one from now on.
   * @throws OutpostError `denied`, saying why; `disk_full`
   */
  admit(identity: OperatorIdentity): OperatorRecord {
    const { catalogue } = this.#options;
    const operator = catalogue.operators.byId(identity.id);
    if (operator === undefined) throw this.#unknown(identity);
    if (operator.name !== identity.name) {
      throw refused(`the certificate is for ${identity.name}, and this operator is called ${operator.name}`);
    }
    if (operator.key === undefined) return this.#signIn(operator, identity);
    if (operator.key === identity.key) return operator;
    const since = dateText(operator.signedInAt ?? operator.createdAt);
    throw refused(
      `this sign-in bundle was used already, on ${since}; if that was not you, have ${operator.name} removed, and ask for another one`,
    );
  }

  /** They have come or gone. */
  seen(id: OperatorId): void {
    const { catalogue, clock, log } = this.#options;
    try {
      catalogue.transaction("unsynced", () => catalogue.operators.seen(id, clock.now()));
    } catch (error) {
      log.warn({ err: error }, "when an operator was last seen could not be recorded");
    }
  }

  #signIn(operator: OperatorRecord, { key }: OperatorIdentity): OperatorRecord {
    const { catalogue, audit, clock } = this.#options;
    const { id, name } = operator;
    const now = clock.now();
    if (operator.invitedUntil <= now) {
      throw refused(
        `the sign-in bundle for ${name} has expired on ${dateText(operator.invitedUntil)}; ask for another one (\`outpost operator add ${name}\`)`,
      );
    }
    catalogue.transaction("synced", () => {
      catalogue.operators.signIn(id, key, now);
      audit.event({ action: "operator.signed-in", operator: name, subject: id, what: `with the key ${key}` });
    });
    return { ...operator, key, signedInAt: now };
  }

  #unknown({ id, name }: OperatorIdentity): OutpostError {
    const removal = this.#options.catalogue.removals.byId(id);
    if (removal === undefined) {
      return refused(
        `the operator ${name} is not in this controller's catalogue; was it restored from a backup?`,
      );
    }
    const { removedBy, removedAt } = removal;
    return refused(`the operator ${removal.name} was removed by ${removedBy} on ${dateText(removedAt)}`);
  }

  /** In a transaction. */
  #delete({ id, name }: OperatorRecord, removedBy: string, removedAt: number): void {
    const { operators, removals } = this.#options.catalogue;
    removals.insert({ id, kind: "operator", name, removedAt, removedBy });
    operators.delete(id);
  }

  #info({ id, name, createdAt, invitedUntil, key, lastSeen }: OperatorRecord): OperatorInfo {
    const { connections, clock } = this.#options;
    const seen = connections.has(id) ? clock.now() : lastSeen;
    return {
      id,
      name,
      createdAt,
      ...(key === undefined ? { state: "invited", invitedUntil } : { state: "active", key }),
      ...(seen === undefined ? {} : { lastSeen: seen }),
    };
  }
}

function taken({ name, key, invitedUntil }: OperatorRecord): OutpostError {
  const how =
    key === undefined ? `is invited already, until ${dateText(invitedUntil)}` : "is an operator already";
  return new OutpostError(
    ErrorCode.conflict,
    `${name} ${how}; for a new sign-in bundle, remove ${name} first (\`outpost operator remove ${name}\`)`,
    { data: { operator: name } },
  );
}

function refused(message: string): OutpostError {
  return new OutpostError(ErrorCode.denied, message);
}

function dateText(time: number): string {
  return new Date(time).toISOString();
}
