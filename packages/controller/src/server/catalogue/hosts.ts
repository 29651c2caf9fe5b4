/** The hosts of the catalogue. */
import type { StatementSync } from "node:sqlite";
import type { Facts, HostId, HostName, Labels } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface HostRecord {
  readonly id: HostId;
  readonly name: HostName;
  readonly labels: Labels;
  readonly facts: Facts;
  readonly enrolledAt: number;
  readonly lastSeen: number | undefined;
}

export interface NewHost extends Omit<HostRecord, "lastSeen"> {
  readonly keyHash: Uint8Array;
  readonly tokenHash: Uint8Array;
}

interface Row {
  id: HostId;
  name: HostName;
  labels: string;
  facts: string;
  enrolled_at: number;
  last_seen: number | null;
  connected: number;
  key_hash: Uint8Array;
  token_hash: Uint8Array;
}

export class HostTable {
  readonly #all: StatementSync;
  readonly #byName: StatementSync;
  readonly #insert: StatementSync;
  readonly #connected: StatementSync;
  readonly #disconnected: StatementSync;
  readonly #settle: StatementSync;

  constructor({ sql }: Database) {
    this.#all = sql.prepare("SELECT * FROM hosts ORDER BY name");
    this.#byName = sql.prepare("SELECT * FROM hosts WHERE name = ?");
    this.#insert = sql.prepare(
      "INSERT INTO hosts (id, name, labels, facts, enrolled_at, connected, key_hash, token_hash) VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
    );
    this.#connected = sql.prepare("UPDATE hosts SET connected = 1, last_seen = ?, facts = ? WHERE id = ?");
    this.#disconnected = sql.prepare("UPDATE hosts SET connected = 0, last_seen = ? WHERE id = ?");
    this.#settle = sql.prepare(
      "UPDATE hosts SET connected = 0, last_seen = max(last_seen, ?) WHERE connected = 1",
    );
  }

  all(): HostRecord[] {
    return (this.#all.all() as unknown as Row[]).map(toRecord);
  }

  /** The host of that name, with what it enrolled with. */
  byName(name: HostName): (HostRecord & { keyHash: Uint8Array; tokenHash: Uint8Array }) | undefined {
    const row = this.#byName.get(name) as unknown as Row | undefined;
    return row === undefined
      ? undefined
      : { ...toRecord(row), keyHash: row.key_hash, tokenHash: row.token_hash };
  }

  insert(host: NewHost): void {
    const { id, name, labels, facts, enrolledAt, keyHash, tokenHash } = host;
    this.#insert.run(id, name, JSON.stringify(labels), JSON.stringify(facts), enrolledAt, keyHash, tokenHash);
  }

  connected(id: HostId, at: number, facts: Facts): void {
    this.#connected.run(at, JSON.stringify(facts), id);
  }

  disconnected(id: HostId, at: number): void {
    this.#disconnected.run(at, id);
  }

  /** After a crash: what was connected then was last seen `aliveAt`, when we were last known to be alive. */
  settle(aliveAt: number): void {
    this.#settle.run(aliveAt);
  }
}

function toRecord(row: Row): HostRecord {
  return {
    id: row.id,
    name: row.name,
    labels: JSON.parse(row.labels) as Labels,
    facts: JSON.parse(row.facts) as Facts,
    enrolledAt: row.enrolled_at,
    lastSeen: row.last_seen ?? undefined,
  };
}
