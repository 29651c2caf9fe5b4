/**
 * Every peer that is connected, whoever it is: so that a shutdown can say goodbye to all, and so that who is put out, or
 * whose certificate ends, is cut off.
 */
import { ErrorCode, type HostId, type OperatorId, OutpostError } from "@outpost/protocol";

/** What is needed of a peer. */
export interface Connection {
  /** Absent for those who are not coming back: hosts that enrol. */
  notify?(method: "goodbye", params: { reason: string; retryAfterMs: number }): void;
  close(reason: string): Promise<void>;
  abort(error: OutpostError): void;
}

/** Whose a connection is. */
export interface Bearer {
  readonly kind: "host" | "operator";
  readonly id: HostId | OperatorId;
  /** When the certificate that it came with ends, in milliseconds since 1970; absent when somebody else sees to that. */
  readonly expiresAt?: number;
}

const reason = "the controller is shutting down";

export class Connections {
  readonly #open = new Map<Connection, Bearer | undefined>();

  /** Holds the connection until `closed` resolves. */
  add(connection: Connection, closed: Promise<unknown>, bearer?: Bearer): void {
    this.#open.set(connection, bearer);
    void closed.then(() => this.#open.delete(connection));
  }

  /** Whether somebody is connected. */
  has(id: Bearer["id"]): boolean {
    return this.#of(id).length > 0;
  }

  /** How many there are; of hosts that enrol `newcomer`. */
  get counts(): Readonly<Record<Bearer["kind"] | "newcomer", number>> {
    const counts = { host: 0, operator: 0, newcomer: 0 };
    for (const bearer of this.#open.values()) counts[bearer?.kind ?? "newcomer"]++;
    return counts;
  }

  /** Ends all connections of somebody, now. */
  end(id: Bearer["id"], error: OutpostError): void {
    for (const connection of this.#of(id)) connection.abort(error);
  }

  /** Ends the connections whose certificate has ended. */
  endExpired(now: number): void {
    for (const [connection, bearer] of this.#open) {
      const expiresAt = bearer?.expiresAt ?? Infinity;
      if (expiresAt > now) continue;
      const since = new Date(expiresAt).toISOString();
      connection.abort(
        new OutpostError(ErrorCode.denied, `the certificate of this connection has expired at ${since}`),
      );
    }
  }

  /** Tells everybody to come back later, each at another time, and closes. Resolves when all are closed. */
  async goodbye(maxRetryAfterMs: number): Promise<void> {
    await Promise.all(
      [...this.#open.keys()].map((connection) => {
        const retryAfterMs = Math.round(Math.random() * maxRetryAfterMs);
        connection.notify?.("goodbye", { reason, retryAfterMs });
        return connection.close(reason);
      }),
    );
  }

  #of(id: Bearer["id"]): Connection[] {
    return [...this.#open].filter(([, bearer]) => bearer?.id === id).map(([connection]) => connection);
  }
}
