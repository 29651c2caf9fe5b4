/** The sessions of the catalogue: what each host said last of each of them. */
import type { StatementSync } from "node:sqlite";
import type { HostId, HostName, SessionId, SessionStatus } from "@outpost/protocol";
import type { Database } from "./database.ts";

export interface SessionRecord {
  readonly host: HostId;
  readonly hostName: HostName;
  readonly status: SessionStatus;
}

interface Row {
  host: HostId;
  host_name: HostName;
  status: string;
}

export class SessionTable {
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;

  constructor({ sql }: Database) {
    this.#all = sql.prepare("SELECT host, host_name, status FROM sessions ORDER BY id, host_name");
    this.#put = sql.prepare(
      `INSERT INTO sessions (id, host, host_name, status, updated_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id, host) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
    );
    this.#delete = sql.prepare("DELETE FROM sessions WHERE id = ? AND host = ?");
  }

  all(): SessionRecord[] {
    return (this.#all.all() as unknown as Row[]).map((row) => ({
      host: row.host,
      hostName: row.host_name,
      status: JSON.parse(row.status) as SessionStatus,
    }));
  }

  put({ host, hostName, status }: SessionRecord, now: number): void {
    this.#put.run(status.session, host, hostName, JSON.stringify(status), now);
  }

  delete(id: SessionId, host: HostId): void {
    this.#delete.run(id, host);
  }
}
