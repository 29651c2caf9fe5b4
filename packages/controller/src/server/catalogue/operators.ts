/** The operators of the catalogue. */
import type { StatementSync } from "node:sqlite";
import type { OperatorId } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface OperatorRecord {
  readonly id: OperatorId;
  readonly name: string;
}

export class OperatorTable {
  readonly #byId: StatementSync;
  readonly #insert: StatementSync;

  constructor({ sql }: Database) {
    this.#byId = sql.prepare("SELECT id, name FROM operators WHERE id = ?");
    this.#insert = sql.prepare("INSERT INTO operators (id, name, created_at) VALUES (?, ?, ?)");
  }

  byId(id: OperatorId): OperatorRecord | undefined {
    return this.#byId.get(id) as unknown as OperatorRecord | undefined;
  }

  insert(operator: OperatorRecord, createdAt: number): void {
    this.#insert.run(operator.id, operator.name, createdAt);
  }
}
