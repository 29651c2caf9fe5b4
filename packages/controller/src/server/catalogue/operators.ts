/** The operators of the catalogue. */
import type { StatementSync } from "node:sqlite";
import type { OperatorId, OperatorName } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface OperatorRecord {
  readonly id: OperatorId;
  readonly name: OperatorName;
  readonly createdAt: number;
  /** Until when the sign-in bundle can be used; 0 for the first operator, who needs none. */
  readonly invitedUntil: number;
  /** SHA-256 of their public key, in hexadecimal; `undefined` until they have signed in. */
  readonly key: string | undefined;
  /** When that key was first shown. */
  readonly signedInAt: number | undefined;
  readonly lastSeen: number | undefined;
}

export type NewOperator = Omit<OperatorRecord, "lastSeen">;

interface Row {
  id: OperatorId;
  name: OperatorName;
  created_at: number;
  invited_until: number;
  key: string | null;
  signed_in_at: number | null;
  last_seen: number | null;
}

export class OperatorTable {
  readonly #all: StatementSync;
  readonly #byId: StatementSync;
  readonly #byName: StatementSync;
  readonly #insert: StatementSync;
  readonly #signIn: StatementSync;
  readonly #seen: StatementSync;
  readonly #delete: StatementSync;

  constructor({ sql }: Database) {
    this.#all = sql.prepare("SELECT * FROM operators ORDER BY name");
    this.#byId = sql.prepare("SELECT * FROM operators WHERE id = ?");
    this.#byName = sql.prepare("SELECT * FROM operators WHERE name = ?");
    this.#insert = sql.prepare(
      "INSERT INTO operators (id, name, created_at, invited_until, key, signed_in_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#signIn = sql.prepare(
      "UPDATE operators SET key = ?1, signed_in_at = ?2 WHERE id = ?3 AND key IS NULL AND invited_until > ?2",
    );
    this.#seen = sql.prepare("UPDATE operators SET last_seen = ? WHERE id = ?");
    this.#delete = sql.prepare("DELETE FROM operators WHERE id = ?");
  }

  all(): OperatorRecord[] {
    return (this.#all.all() as unknown as Row[]).map(toRecord);
  }

  byId(id: OperatorId): OperatorRecord | undefined {
    const row = this.#byId.get(id) as unknown as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  byName(name: OperatorName): OperatorRecord | undefined {
    const row = this.#byName.get(name) as unknown as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  insert({ id, name, createdAt, invitedUntil, key, signedInAt }: NewOperator): void {
    this.#insert.run(id, name, createdAt, invitedUntil, key ?? null, signedInAt ?? null);
  }

  /** From now on they are who holds this key. False when there is a key already, or the invitation has expired. */
  signIn(id: OperatorId, key: string, now: number): boolean {
    return this.#signIn.run(key, now, id).changes === 1;
  }

  seen(id: OperatorId, at: number): void {
    this.#seen.run(at, id);
  }

  delete(id: OperatorId): void {
    this.#delete.run(id);
  }
}

function toRecord(row: Row): OperatorRecord {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    invitedUntil: row.invited_until,
    key: row.key ?? undefined,
    signedInAt: row.signed_in_at ?? undefined,
    lastSeen: row.last_seen ?? undefined,
  };
}
