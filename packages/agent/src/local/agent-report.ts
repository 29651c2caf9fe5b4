/** What the agent says of itself to programs on its host, kept up to date by the states of its connection. */
import type { AgentStatus, Clock, OutpostError, WireError } from "@outpost/protocol";
import type { ConnectionState } from "../connection-state.ts";
import { software } from "../version.ts";

export class AgentReport {
  readonly #clock: Pick<Clock, "now">;
  readonly #startedAt: number;
  #connection: AgentStatus["connection"];
  // The first begins with the connection itself, before anybody listens.
  #attempts = 1;
  #established = 0;
  #clockOffsetMs: number | undefined;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#connection = { state: "dialing", since: this.#startedAt };
  }

  /** To be told every state that the connection enters. */
  entered(state: ConnectionState): void {
    if (state.name === "dialing") this.#attempts++;
    if (state.name === "connected") this.#established++;
    if (state.name === "reporting") this.#clockOffsetMs = state.controller.time - this.#clock.now();
    const before = this.#connection;
    const isSame = (state.name === "connected") === (before.state === "connected");
    const since = isSame ? before.since : this.#clock.now();
    const error = state.name === "waiting" ? wireError(state.error) : before.error;
    // What was wrong stays wrong until it works: most of the time it is being tried again.
    const isWrong = error !== undefined && state.name !== "connected";
    this.#connection = { state: state.name, since, ...(isWrong ? { error } : {}) };
  }

  /** What has become of it since the start, for those who measure. */
  get measured(): {
    readonly startedAt: number;
    readonly state: AgentStatus["connection"]["state"];
    readonly since: number;
    readonly attempts: number;
    readonly established: number;
    /** The controller's clock less ours at the last hello, in milliseconds. */
    readonly clockOffsetMs: number | undefined;
  } {
    return {
      startedAt: this.#startedAt,
      state: this.#connection.state,
      since: this.#connection.since,
      attempts: this.#attempts,
      established: this.#established,
      clockOffsetMs: this.#clockOffsetMs,
    };
  }

  get status(): AgentStatus {
    return { software, pid: process.pid, startedAt: this.#startedAt, connection: this.#connection };
  }
}

function wireError({ code, message }: OutpostError): WireError {
  return { code, message };
}
