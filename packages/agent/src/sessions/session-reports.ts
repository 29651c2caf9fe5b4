/**
 * Tells the controller, over one connection, which sessions there are and what happens to them: the inventory first,
 * then each change in order, and the inventory again whenever the session host has told the agent its list anew.
 *
 * While the session host has not been heard the host's sessions are unknown, and no inventory is sent: an empty one
 * would say that they are gone. It follows as soon as they are known.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import type { AgentPeer, HeldSessions } from "../handlers/context.ts";
import type { SessionsEvent } from "./sessions.ts";

/** How long the controller may take for the inventory, in milliseconds. It may be busy with a herd. */
const inventoryTimeoutMs = 60_000;

export class SessionReports implements Disposable {
  readonly #peer: AgentPeer;
  readonly #sessions: HeldSessions;
  readonly #log: Logger;
  #unlisten: (() => void) | undefined;

  constructor(peer: AgentPeer, sessions: HeldSessions, log: Logger) {
    this.#peer = peer;
    this.#sessions = sessions;
    this.#log = log;
  }

  /** Resolves when the controller knows the sessions, or when nobody here knows them yet. @throws OutpostError */
  async begin(): Promise<void> {
    this.#unlisten = this.#sessions.onEvent((event) => this.#tell(event));
    if (this.#sessions.list() !== undefined) await this.#inventory();
  }

  [Symbol.dispose](): void {
    this.#unlisten?.();
  }

  #tell(event: SessionsEvent): void {
    switch (event.kind) {
      case "listed":
        this.#inventory().catch((error: unknown) => {
          // A connection that has ended reports everything when it is back; one that lives must not know less than we do.
          if (this.#peer.isOpen) this.#peer.abort(OutpostError.from(error));
        });
        break;
      case "changed":
        this.#peer.notify("session.changed", { status: event.status });
        break;
      case "gone":
        this.#peer.notify("session.gone", { session: event.session });
        break;
      default:
        event satisfies never;
    }
  }

  async #inventory(): Promise<void> {
    const sessions = [...(this.#sessions.list() ?? [])];
    try {
      await this.#peer.request("session.inventory", { sessions }, { timeoutMs: inventoryTimeoutMs });
    } catch (error) {
      if (!(error instanceof OutpostError && error.code === ErrorCode.methodNotFound)) throw error;
      // An older controller: jobs go on as before.
      this.#log.warn("the controller knows no sessions: it is older than this agent");
    }
  }
}
