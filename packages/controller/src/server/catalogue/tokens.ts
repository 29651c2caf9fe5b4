/** The enrolment tokens of the catalogue. */
import type { StatementSync } from "node:sqlite";
import type { Database } from "./database.ts";

export interface TokenRecord {
  readonly hash: Uint8Array;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  /** How many hosts may enrol with it. */
  readonly uses: number;
  /** How many have. */
  readonly used: number;
}

interface Row {
  hash: Uint8Array;
  created_at: number;
  created_by: string;
  expires_at: number;
  uses: number;
  used: number;
}

export class TokenTable {
  readonly #byHash: StatementSync;
  readonly #insert: StatementSync;
  readonly #use: StatementSync;
  readonly #purge: StatementSync;

  constructor({ sql }: Database) {
    this.#byHash = sql.prepare("SELECT * FROM tokens WHERE hash = ?");
    this.#insert = sql.prepare(
      "INSERT INTO tokens (hash, created_at, created_by, expires_at, uses, used) VALUES (?, ?, ?, ?, ?, 0)",
    );
    this.#use = sql.prepare(
      "UPDATE tokens SET used = used + 1 WHERE hash = ? AND used < uses AND expires_at > ?",
    );
    this.#purge = sql.prepare("DELETE FROM tokens WHERE expires_at < ?");
  }

  byHash(hash: Uint8Array): TokenRecord | undefined {
    const row = this.#byHash.get(hash) as unknown as Row | undefined;
    if (row === undefined) return undefined;
    const { created_at: createdAt, created_by: createdBy, expires_at: expiresAt, uses, used } = row;
    return { hash: row.hash, createdAt, createdBy, expiresAt, uses, used };
  }

  insert({ hash, createdAt, createdBy, expiresAt, uses }: Omit<TokenRecord, "used">): void {
    this.#insert.run(hash, createdAt, createdBy, expiresAt, uses);
  }

  /** Counts one use. False when the token is unknown, expired or used up. */
  use(hash: Uint8Array, now: number): boolean {
    return this.#use.run(hash, now).changes === 1;
  }

  /** Forgets tokens that expired before `time`. */
  purge(time: number): void {
    this.#purge.run(time);
  }
}
