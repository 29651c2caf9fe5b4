/** The SQLite file itself: opening, migrating, transactions. */
import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { migrations } from "./schema.ts";

/** How a transaction is committed. `synced`: it survives a power cut, at the price of an fsync. `unsynced`: it survives
 * our own death, but the last ones before a power cut may be lost; the file stays consistent. */
export type Durability = "synced" | "unsynced";

export class Database implements Disposable {
  readonly sql: DatabaseSync;
  #durability: Durability = "synced";

  /** @throws OutpostError `version_mismatch` when a newer controller has written the file */
  constructor(file: string) {
    this.sql = new DatabaseSync(file, { timeout: 5_000 });
    if (file !== ":memory:") chmodSync(file, 0o600);
    this.sql.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    this.#migrate(file);
  }

  /** Runs `work` in one transaction: all of it happens, or none. Not reentrant. */
  transaction<T>(durability: Durability, work: () => T): T {
    this.#setDurability(durability);
    this.sql.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.sql.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite has rolled back on its own after some errors (disk full).
      if (this.sql.isTransaction) this.sql.exec("ROLLBACK");
      throw storageError(error);
    }
  }

  [Symbol.dispose](): void {
    if (this.sql.isOpen) this.sql.close();
  }

  #setDurability(durability: Durability): void {
    if (durability === this.#durability) return;
    // In WAL mode FULL syncs the log at each commit, NORMAL at checkpoints only (https://sqlite.org/pragma.html#pragma_synchronous).
    this.sql.exec(`PRAGMA synchronous = ${durability === "synced" ? "FULL" : "NORMAL"}`);
    this.#durability = durability;
  }

  #migrate(file: string): void {
    const { user_version: version } = this.sql.prepare("PRAGMA user_version").get() as {
      user_version: number;
    };
    if (version > migrations.length) {
      throw new OutpostError(
        ErrorCode.versionMismatch,
        `${file} was written by a newer controller (schema ${String(version)}, this one knows ${String(migrations.length)}); use that one`,
      );
    }
    for (let step = version; step < migrations.length; step++) {
      this.transaction("synced", () => {
        this.sql.exec(migrations[step]!);
        this.sql.exec(`PRAGMA user_version = ${String(step + 1)}`);
      });
    }
  }
}

const sqliteFull = 13;

function storageError(error: unknown): unknown {
  if ((error as { errcode?: number } | null)?.errcode !== sqliteFull) return error;
  return new OutpostError(ErrorCode.diskFull, "the controller's disk is full; nothing was recorded", {
    cause: error,
  });
}
