/** What rules say of actions: `invoke`, `job.*`, `*`. */
import { Action } from "@outpost/protocol";
import { fits } from "@outpost/protocol/targets";

const aboutNoHost = /^(?:token|operator|policy|audit|authority|metrics)\./;

/** Whether hosts are touched by it. The other actions are about the controller itself: tokens, operators, policy, audit. */
export function isAboutHosts(action: Action): boolean {
  return !aboutNoHost.test(action);
}

/** The actions that begin something on a host, in a configuration and as a user. */
export function isStart(action: Action): boolean {
  return action === "invoke" || action === "session.open";
}

/** What whoever started a job or opened a session may do with it. Opening is not among them: there is nothing to own yet. */
export function isForOwners(action: Action): boolean {
  return action !== "session.open" && /^(?:job|session)\./.test(action);
}

/** The actions that a pattern names; empty when it names none. */
export function actionsOf(pattern: string): Action[] {
  return Action.options.filter((action) => fits(pattern, action));
}

export class ActionPatterns {
  /** As it was written. */
  readonly text: string;
  /** The pattern that names an action, for the reason of a decision. */
  readonly #patterns: ReadonlyMap<Action, string>;

  constructor(patterns: readonly string[]) {
    this.text = patterns.join(", ");
    // The first one that names it.
    this.#patterns = new Map(
      patterns
        .toReversed()
        .flatMap((pattern) => actionsOf(pattern).map((action) => [action, pattern] as const)),
    );
  }

  has(action: Action): boolean {
    return this.#patterns.has(action);
  }

  patternOf(action: Action): string {
    return this.#patterns.get(action) ?? action;
  }
}
