/**
 * The state of one session, and what it may become. Nothing else sets a session's state.
 *
 *     opening ──▶ opened ◀──▶ disconnected
 *        │           │             │
 *        └───────────┴──────┬──────┘
 *                           ▼
 *                    closed | broken
 */
import { ErrorCode, OutpostError, type SessionState } from "@outpost/protocol";

const allowed: Readonly<Record<SessionState, readonly SessionState[]>> = {
  opening: ["opened", "disconnected", "closed", "broken"],
  opened: ["disconnected", "closed", "broken"],
  disconnected: ["opened", "closed", "broken"],
  closed: [],
  broken: [],
};

/** Whether a session in this state has a shell. */
function isLive(state: SessionState): boolean {
  return allowed[state].length > 0;
}

export class StateMachine {
  #state: SessionState;

  constructor(state: SessionState = "opening") {
    this.#state = state;
  }

  get state(): SessionState {
    return this.#state;
  }

  get live(): boolean {
    return isLive(this.#state);
  }

  mayBecome(next: SessionState): boolean {
    return allowed[this.#state].includes(next);
  }

  /** @throws OutpostError `internal` when the table does not allow it: a fault of ours */
  become(next: SessionState): void {
    if (!this.mayBecome(next)) {
      throw new OutpostError(ErrorCode.internal, `a session that is ${this.#state} cannot become ${next}`);
    }
    this.#state = next;
  }
}
