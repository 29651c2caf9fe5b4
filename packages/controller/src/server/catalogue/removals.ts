/** Hosts and operators that are not in the catalogue any more, and who saw to that. */
import type { StatementSync } from "node:sqlite";
import type { HostId, OperatorId } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface RemovalRecord {
  readonly id: HostId | OperatorId;
  readonly kind: "host" | "operator";
  /** What it was called; something else may be called so now. */
  readonly name: string;
  readonly removedAt: number;
  readonly removedBy: string;
}

interface Row {
  id: HostId | OperatorId;
  kind: "host" | "operator";
  name: string;
  removed_at: number;
  removed_by: string;
}

export class RemovalTable {
  readonly #byId: StatementSync;
  readonly #insert: StatementSync;

  constructor({ sql }: Database) {
    this.#byId = sql.prepare("SELECT * FROM removals WHERE id = ?");
    this.#insert = sql.prepare(
      "INSERT INTO removals (id, kind, name, removed_at, removed_by) VALUES (?, ?, ?, ?, ?)",
    );
  }

  byId(id: HostId | OperatorId): RemovalRecord | undefined {
    const row = this.#byId.get(id) as unknown as Row | undefined;
    if (row === undefined) return undefined;
    const { kind, name, removed_at: removedAt, removed_by: removedBy } = row;
    return { id: row.id, kind, name, removedAt, removedBy };
  }

  insert({ id, kind, name, removedAt, removedBy }: RemovalRecord): void {
    this.#insert.run(id, kind, name, removedAt, removedBy);
  }
}
