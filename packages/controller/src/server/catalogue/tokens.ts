/** The enrolment tokens of the catalogue. Never their secrets. */
import type { StatementSync } from "node:sqlite";
import type { HostName, Labels, TokenId } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface TokenRecord {
  readonly id: TokenId;
  readonly hash: Uint8Array;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  /** How many hosts may enrol with it. */
  readonly uses: number;
  /** How many have. */
  readonly used: number;
  /** What its host must be called. */
  readonly name: HostName | undefined;
  /** What its hosts get. */
  readonly labels: Labels;
  /** Its hosts wait for approval. */
  readonly quarantine: boolean;
  readonly revokedAt: number | undefined;
  readonly revokedBy: string | undefined;
}

export type NewToken = Omit<TokenRecord, "used" | "revokedAt" | "revokedBy">;

interface Row {
  id: TokenId;
  hash: Uint8Array;
  created_at: number;
  created_by: string;
  expires_at: number;
  uses: number;
  used: number;
  name: HostName | null;
  labels: string;
  quarantine: number;
  revoked_at: number | null;
  revoked_by: string | null;
}

export class TokenTable {
  readonly #all: StatementSync;
  readonly #byHash: StatementSync;
  readonly #byId: StatementSync;
  readonly #insert: StatementSync;
  readonly #use: StatementSync;
  readonly #revoke: StatementSync;
  readonly #revokeAll: StatementSync;
  readonly #purge: StatementSync;

  constructor({ sql }: Database) {
    this.#all = sql.prepare("SELECT * FROM tokens ORDER BY created_at DESC, id");
    this.#byHash = sql.prepare("SELECT * FROM tokens WHERE hash = ?");
    this.#byId = sql.prepare("SELECT * FROM tokens WHERE id = ?");
    this.#insert = sql.prepare(
      `INSERT INTO tokens (id, hash, created_at, created_by, expires_at, uses, used, name, labels, quarantine)
       VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
    );
    this.#use = sql.prepare(
      `UPDATE tokens SET used = used + 1
       WHERE hash = ? AND used < uses AND expires_at > ? AND revoked_at IS NULL`,
    );
    this.#revoke = sql.prepare(
      "UPDATE tokens SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL",
    );
    this.#revokeAll = sql.prepare(
      `UPDATE tokens SET revoked_at = ?1, revoked_by = ?2
       WHERE revoked_at IS NULL AND expires_at > ?1 AND used < uses`,
    );
    this.#purge = sql.prepare("DELETE FROM tokens WHERE expires_at < ?");
  }

  /** The newest first. */
  all(): TokenRecord[] {
    return (this.#all.all() as unknown as Row[]).map(toRecord);
  }

  byHash(hash: Uint8Array): TokenRecord | undefined {
    const row = this.#byHash.get(hash) as unknown as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  byId(id: TokenId): TokenRecord | undefined {
    const row = this.#byId.get(id) as unknown as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  insert(token: NewToken): void {
    const { id, hash, createdAt, createdBy, expiresAt, uses, name, labels, quarantine } = token;
    this.#insert.run(
      id,
      hash,
      createdAt,
      createdBy,
      expiresAt,
      uses,
      name ?? null,
      JSON.stringify(labels),
      Number(quarantine),
    );
  }

  /** Counts one use. False when the token is unknown, expired, used up or revoked. */
  use(hash: Uint8Array, now: number): boolean {
    return this.#use.run(hash, now).changes === 1;
  }

  /** The first revocation stands. */
  revoke(id: TokenId, at: number, by: string): void {
    this.#revoke.run(at, by, id);
  }

  /** Those that could still be used. Returns how many. */
  revokeAll(at: number, by: string): number {
    return Number(this.#revokeAll.run(at, by).changes);
  }

  /** Forgets tokens that expired before `time`. */
  purge(time: number): void {
    this.#purge.run(time);
  }
}

function toRecord(row: Row): TokenRecord {
  return {
    id: row.id,
    hash: row.hash,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    uses: row.uses,
    used: row.used,
    name: row.name ?? undefined,
    labels: JSON.parse(row.labels) as Labels,
    quarantine: row.quarantine === 1,
    revokedAt: row.revoked_at ?? undefined,
    revokedBy: row.revoked_by ?? undefined,
  };
}
