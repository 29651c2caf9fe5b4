/**
 * What the controller must not forget, in SQLite: hosts, operators, removed ones, tokens, fan-out jobs and their jobs, sessions. Its
 * tables know rows and nothing of what they mean. The only importers of node:sqlite are in this folder.
 */
import { Database, type Durability } from "./database.ts";
import { FanOutTable } from "./fan-outs.ts";
import { HostTable } from "./hosts.ts";
import { OperatorTable } from "./operators.ts";
import { RemovalTable } from "./removals.ts";
import { SessionTable } from "./sessions.ts";
import { TokenTable } from "./tokens.ts";

export class Catalogue implements Disposable {
  readonly hosts: HostTable;
  readonly operators: OperatorTable;
  readonly removals: RemovalTable;
  readonly tokens: TokenTable;
  readonly fanOuts: FanOutTable;
  readonly sessions: SessionTable;
  readonly #database: Database;

  /**
   * Opens the file, makes it (0600) when it is not there, and brings its schema up to date.
   * @throws OutpostError `version_mismatch` when a newer controller has written it
   */
  constructor(file: string) {
    this.#database = new Database(file);
    this.hosts = new HostTable(this.#database);
    this.operators = new OperatorTable(this.#database);
    this.removals = new RemovalTable(this.#database);
    this.tokens = new TokenTable(this.#database);
    this.fanOuts = new FanOutTable(this.#database);
    this.sessions = new SessionTable(this.#database);
  }

  /** Runs `work` in one transaction: all of it happens, or none. @throws OutpostError `disk_full` */
  transaction<T>(durability: Durability, work: () => T): T {
    return this.#database.transaction(durability, work);
  }

  /** When the controller was last known to be alive, in milliseconds since 1970. */
  get aliveAt(): number | undefined {
    const row = this.#database.sql.prepare("SELECT value FROM meta WHERE key = 'alive_at'").get();
    return row === undefined ? undefined : Number(row["value"]);
  }

  noteAlive(time: number): void {
    this.#database.sql
      .prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('alive_at', ?)")
      .run(String(time));
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]();
  }
}
