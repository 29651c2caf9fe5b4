/**
 * Records the ends of sessions. They belong to a process that outlives the agent, so that one may have ended while no
 * agent was there to see it: whatever ended after the last line of the audit log has no line of its own there.
 */
import type { HostName, SessionId, SessionStatus } from "@outpost/protocol";
import type { HeldSessions } from "../handlers/context.ts";
import type { SessionsEvent } from "../sessions/sessions.ts";
import { record, type Recording, sessionOutcome } from "./outcome.ts";

export interface SessionEndsOptions extends Recording {
  readonly host: HostName;
  readonly sessions: Pick<HeldSessions, "list" | "onEvent">;
  /** When the last line was written by the agent before this one, in milliseconds since 1970. */
  readonly recordedUntil: number;
  /** The sequence number of the request that opened a session, if this agent let it through. Asked once. */
  readonly requestOf: (session: SessionId) => number | undefined;
}

export class SessionEnds implements Disposable {
  readonly #options: SessionEndsOptions;
  readonly #unlisten: () => void;
  /** Those that have not ended, as they were last. */
  readonly #live = new Map<SessionId, SessionStatus>();
  #listed = false;

  constructor(options: SessionEndsOptions) {
    this.#options = options;
    this.#unlisten = options.sessions.onEvent((event) => this.#on(event));
    const known = options.sessions.list();
    if (known !== undefined) this.#onListed(known);
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }

  #on(event: SessionsEvent): void {
    switch (event.kind) {
      case "listed":
        this.#onListed(this.#options.sessions.list() ?? []);
        break;
      case "changed":
        this.#onStatus(event.status);
        break;
      case "gone":
        this.#onGone(event.session);
        break;
      default:
        event satisfies never;
    }
  }

  #onListed(statuses: readonly SessionStatus[]): void {
    const listed = new Set(statuses.map(({ session }) => session));
    for (const session of this.#live.keys()) if (!listed.has(session)) this.#onGone(session);
    for (const status of statuses) {
      const endedUnseen = !this.#listed && (status.endedAt ?? 0) > this.#options.recordedUntil;
      if (endedUnseen) this.#record(status);
      else this.#onStatus(status);
    }
    this.#listed = true;
  }

  #onStatus(status: SessionStatus): void {
    const { session, state } = status;
    if (state !== "closed" && state !== "broken") this.#live.set(session, status);
    else if (this.#live.delete(session)) this.#record(status);
  }

  #onGone(session: SessionId): void {
    const status = this.#live.get(session);
    if (status !== undefined) this.#record(status);
    this.#live.delete(session);
  }

  #record(status: SessionStatus): void {
    const { host, requestOf } = this.#options;
    record(this.#options, sessionOutcome(host, status, requestOf(status.session)));
  }
}
