/** The hosts of the catalogue. */
import type { StatementSync } from "node:sqlite";
import type { Facts, HostId, HostName, Labels } from "@outpost/protocol";
import type { Database } from "./database.ts";

/** What is known of a host's certificate: the last one that was issued to it or that it has shown. */
export interface CertificateRecord {
  readonly expiresAt: number;
  /** The CA that has signed it: SHA-256 of its DER, in hexadecimal. */
  readonly authority: string;
}

export interface HostRecord {
  readonly id: HostId;
  readonly name: HostName;
  readonly labels: Labels;
  readonly facts: Facts;
  readonly enrolledAt: number;
  readonly lastSeen: number | undefined;
  /** Since when it waits for approval. */
  readonly quarantinedSince: number | undefined;
  /** `undefined` for hosts that have not connected since they were of version 0.1. */
  readonly certificate: CertificateRecord | undefined;
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
  quarantined_since: number | null;
  certificate_expires_at: number | null;
  certificate_authority: string | null;
}

export class HostTable {
  readonly #all: StatementSync;
  readonly #byName: StatementSync;
  readonly #insert: StatementSync;
  readonly #connected: StatementSync;
  readonly #facts: StatementSync;
  readonly #disconnected: StatementSync;
  readonly #settle: StatementSync;
  readonly #approve: StatementSync;
  readonly #certified: StatementSync;
  readonly #delete: StatementSync;

  constructor({ sql }: Database) {
    this.#all = sql.prepare("SELECT * FROM hosts ORDER BY name");
    this.#byName = sql.prepare("SELECT * FROM hosts WHERE name = ?");
    this.#insert = sql.prepare(
      `INSERT INTO hosts (id, name, labels, facts, enrolled_at, connected, key_hash, token_hash, quarantined_since,
       certificate_expires_at, certificate_authority) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`,
    );
    this.#connected = sql.prepare("UPDATE hosts SET connected = 1, last_seen = ?, facts = ? WHERE id = ?");
    this.#facts = sql.prepare("UPDATE hosts SET facts = ? WHERE id = ?");
    this.#disconnected = sql.prepare("UPDATE hosts SET connected = 0, last_seen = ? WHERE id = ?");
    this.#settle = sql.prepare(
      "UPDATE hosts SET connected = 0, last_seen = max(last_seen, ?) WHERE connected = 1",
    );
    this.#approve = sql.prepare("UPDATE hosts SET quarantined_since = NULL WHERE id = ?");
    this.#certified = sql.prepare(
      "UPDATE hosts SET certificate_expires_at = ?, certificate_authority = ? WHERE id = ?",
    );
    this.#delete = sql.prepare("DELETE FROM hosts WHERE id = ?");
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
    const { id, name, labels, facts, enrolledAt, keyHash, tokenHash, quarantinedSince, certificate } = host;
    this.#insert.run(
      id,
      name,
      JSON.stringify(labels),
      JSON.stringify(facts),
      enrolledAt,
      keyHash,
      tokenHash,
      quarantinedSince ?? null,
      certificate?.expiresAt ?? null,
      certificate?.authority ?? null,
    );
  }

  connected(id: HostId, at: number, facts: Facts): void {
    this.#connected.run(at, JSON.stringify(facts), id);
  }

  facts(id: HostId, facts: Facts): void {
    this.#facts.run(JSON.stringify(facts), id);
  }

  disconnected(id: HostId, at: number): void {
    this.#disconnected.run(at, id);
  }

  /** After a crash: what was connected then was last seen `aliveAt`, when we were last known to be alive. */
  settle(aliveAt: number): void {
    this.#settle.run(aliveAt);
  }

  approve(id: HostId): void {
    this.#approve.run(id);
  }

  certified(id: HostId, { expiresAt, authority }: CertificateRecord): void {
    this.#certified.run(expiresAt, authority, id);
  }

  delete(id: HostId): void {
    this.#delete.run(id);
  }
}

function toRecord(row: Row): HostRecord {
  const { certificate_expires_at: expiresAt, certificate_authority: authority } = row;
  return {
    id: row.id,
    name: row.name,
    labels: JSON.parse(row.labels) as Labels,
    facts: JSON.parse(row.facts) as Facts,
    enrolledAt: row.enrolled_at,
    lastSeen: row.last_seen ?? undefined,
    quarantinedSince: row.quarantined_since ?? undefined,
    certificate: expiresAt === null || authority === null ? undefined : { expiresAt, authority },
  };
}
