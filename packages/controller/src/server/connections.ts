/** Every peer that is connected, whoever it is, so that a shutdown can say goodbye to all. */

/** What a shutdown needs of a peer. */
export interface Connection {
  /** Absent for those who are not coming back: hosts that enrol. */
  notify?(method: "goodbye", params: { reason: string; retryAfterMs: number }): void;
  close(reason: string): Promise<void>;
}

const reason = "the controller is shutting down";

export class Connections {
  readonly #open = new Set<Connection>();

  /** Holds the connection until `closed` resolves. */
  add(connection: Connection, closed: Promise<unknown>): void {
    this.#open.add(connection);
    void closed.then(() => this.#open.delete(connection));
  }

  /** Tells everybody to come back later, each at another time, and closes. Resolves when all are closed. */
  async goodbye(maxRetryAfterMs: number): Promise<void> {
    await Promise.all(
      [...this.#open].map((connection) => {
        const retryAfterMs = Math.round(Math.random() * maxRetryAfterMs);
        connection.notify?.("goodbye", { reason, retryAfterMs });
        return connection.close(reason);
      }),
    );
  }
}
