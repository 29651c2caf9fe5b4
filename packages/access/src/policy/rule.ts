/** One rule of a policy: whether it is about a request, and what it says to it. */
import { type Action, OutpostError } from "@outpost/protocol";
import { isEverything, parse, selects, type TargetHost, type Targets } from "@outpost/protocol/targets";
import { ActionPatterns, isAboutHosts, isStart } from "./action-patterns.ts";
import { NamePatterns } from "./name-patterns.ts";
import type { RuleEntry } from "./policy-file.ts";

/** What is asked of a policy. */
export interface PolicyRequest {
  readonly operator: string;
  readonly action: Action;
  /** The host that it touches; absent for an action that is about no host. */
  readonly host?: Pick<TargetHost, "name" | "labels"> | undefined;
  /** Who started the job or opened the session that it is about. */
  readonly owner?: string | undefined;
  /** Of `invoke` and `session.open`. Default `default`. */
  readonly configuration?: string | undefined;
  /** Of `invoke` and `session.open`: the user that was asked for; absent: the configuration's. */
  readonly user?: string | undefined;
}

/** The configuration of whoever asks for none. */
export const defaultConfiguration = "default";

/** What of a request a rule is not about. */
export type Mismatch = "operator" | "action" | "host" | "configuration" | "user";

export class Rule {
  readonly name: string;
  readonly effect: "allow" | "deny";
  readonly #operators: NamePatterns;
  readonly #actions: ActionPatterns;
  readonly #targetsText: string;
  /** Absent: every host. */
  readonly #targets: Targets | undefined;
  /** Absent: any. */
  readonly #configurations: NamePatterns | undefined;
  /** Absent: whoever is asked for, or nobody. */
  readonly #users: NamePatterns | undefined;

  /** @param operators the rule's, with groups written out @throws OutpostError when the targets cannot be read */
  constructor(entry: RuleEntry, operators: readonly string[]) {
    const { name, effect, targets, configurations, users } = entry;
    const isAllowing = effect === "allow";
    this.name = name;
    this.effect = effect;
    this.#operators = new NamePatterns(entry.operators, operators);
    this.#actions = new ActionPatterns(entry.actions);
    this.#targetsText = targets;
    this.#targets = selectsAll(targets) ? undefined : parse(targets);
    this.#configurations = patterns(configurations ?? (isAllowing ? [defaultConfiguration] : undefined));
    this.#users = patterns(users ?? (isAllowing ? [] : undefined));
  }

  /** Whether it can be about anything that this operator asks for with this action. */
  concerns(operator: string, action: Action): boolean {
    return this.#operators.has(operator) && this.#actions.has(action);
  }

  /** Why it is not about this request; `undefined` when it is. */
  mismatch(request: PolicyRequest): Mismatch | undefined {
    if (!this.#operators.has(request.operator)) return "operator";
    if (!this.#actions.has(request.action)) return "action";
    if (!this.#isAboutHost(request)) return "host";
    // Neither is known of a job or session that is there already; a rule that denies some of them is about starting.
    if (!isStart(request.action)) {
      if (this.effect === "allow") return undefined;
      if (this.#configurations !== undefined) return "configuration";
      return this.#users === undefined ? undefined : "user";
    }
    if (this.#configurations?.has(request.configuration ?? defaultConfiguration) === false)
      return "configuration";
    return this.#isAboutUser(request.user) ? undefined : "user";
  }

  #isAboutHost({ action, host }: PolicyRequest): boolean {
    if (this.#targets === undefined) return true;
    // Whoever was given some hosts was not given tokens, operators, authorities or the audit log, although "*" names these
    // actions, too: they are worth all hosts. (A token lets in hosts with any labels, another operator may have any right,
    // the log tells of everything.) And whoever was denied some hosts was not denied these.
    if (!isAboutHosts(action)) return false;
    // Nobody said which host: what could be one of these is denied, and not allowed.
    if (host === undefined) return this.effect === "deny";
    // What a host says of itself (its facts) gives nobody a right; `readPolicy` refuses it.
    const { name, labels } = host;
    return selects(this.#targets, { name, labels });
  }

  #isAboutUser(user: string | undefined): boolean {
    if (this.#users === undefined) return true;
    // The configuration's own user is always fine.
    if (user === undefined) return this.effect === "allow";
    return this.#users.has(user);
  }

  /** What it says to an action that it is about, e.g. `the rule "no prod stops" denies job.stop on role=prod`. */
  sentence(action: Action): string {
    return `the rule ${JSON.stringify(this.name)} ${this.verdict(action)}`;
  }

  verdict(action: Action): string {
    const pattern = this.#actions.patternOf(action);
    const verb = this.effect === "allow" ? "allows" : "denies";
    const hosts = this.#targets === undefined ? "" : ` on ${this.#targetsText}`;
    return `${verb} ${pattern === "*" ? "everything" : pattern}${hosts}`;
  }

  /** Why it is not about a request, as the end of a sentence that begins with its name. */
  excuse(mismatch: Mismatch, action: Action): string {
    switch (mismatch) {
      case "operator":
        return `is for other operators (${this.#operators.text})`;
      case "action":
        return `is about other actions (${this.#actions.text})`;
      case "host":
        return isAboutHosts(action)
          ? `is about other hosts (${this.#targetsText})`
          : `is about some hosts only (${this.#targetsText}), and ${action} is about none`;
      case "configuration":
        return `is about other configurations (${this.#configurations?.text ?? ""})`;
      case "user":
        return this.#users?.text === ""
          ? "lets nobody choose a user"
          : `is about other users (${this.#users?.text ?? ""})`;
      default:
        return mismatch satisfies never;
    }
  }
}

function patterns(list: readonly string[] | undefined): NamePatterns | undefined {
  return list === undefined ? undefined : new NamePatterns(list);
}

/** Whether a target expression selects every host there may ever be. One that cannot be read does not. */
export function selectsAll(targets: string): boolean {
  try {
    return isEverything(parse(targets));
  } catch (error) {
    if (error instanceof OutpostError) return false;
    throw error;
  }
}
