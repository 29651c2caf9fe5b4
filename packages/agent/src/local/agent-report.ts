/** What the agent says of itself to programs on its host, kept up to date by the states of its connection. */
import type { AgentStatus, Clock, OutpostError, WireError } from "@outpost/protocol";
import type { ConnectionState } from "../connection-state.ts";
import { software } from "../version.ts";

export class AgentReport {
  readonly #clock: Pick<Clock, "now">;
  readonly #startedAt: number;
  #connection: AgentStatus["connection"];

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#connection = { state: "dialing", since: this.#startedAt };
  }

  /** To be told every state that the connection enters. */
  entered(state: ConnectionState): void {
    const before = this.#connection;
    const isSame = (state.name === "connected") === (before.state === "connected");
    const since = isSame ? before.since : this.#clock.now();
    const error = state.name === "waiting" ? wireError(state.error) : before.error;
    // What was wrong stays wrong until it works: most of the time it is being tried again.
    const isWrong = error !== undefined && state.name !== "connected";
    this.#connection = { state: state.name, since, ...(isWrong ? { error } : {}) };
  }

  get status(): AgentStatus {
    return { software, pid: process.pid, startedAt: this.#startedAt, connection: this.#connection };
  }
}

function wireError({ code, message }: OutpostError): WireError {
  return { code, message };
}
