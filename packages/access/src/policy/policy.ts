/**
 * Who may do what on which hosts: rules that allow and rules that deny, the same at the controller and at a host.
 *
 *     a rule denies it   → denied; nothing else counts
 *     a rule allows it   → allowed
 *     it is the operator's own job or session → allowed
 *     otherwise          → denied
 *
 * A policy knows no files and no clock; whoever has one loads it, and says so when it cannot.
 */
import { type Action, ErrorCode, OutpostError } from "@outpost/protocol";
import type { DocumentProblem } from "../document.ts";
import { isForOwners, isStart } from "./action-patterns.ts";
import { readPolicy } from "./reading.ts";
import { defaultConfiguration, type PolicyRequest, type Rule } from "./rule.ts";

export interface Decision {
  readonly allowed: boolean;
  /** The rule that decides; `owner` or `default` when none does. */
  readonly rule: string;
  /** A sentence for people, without its full stop, e.g. `the rule "deployers" allows job.* on role=web`. */
  readonly reason: string;
}

export type PolicyProblem = DocumentProblem;

/** The rules that can be about one operator's one action, in their order. */
interface Concerning {
  readonly denying: readonly Rule[];
  readonly allowing: readonly Rule[];
}

/** For so many pairs of operator and action it is remembered which rules concern them: hosts are many, pairs are few. */
const rememberedPairs = 1_000;

export class Policy {
  readonly text: string;
  readonly #rules: readonly Rule[];
  /** Said to everything, whatever the rules. */
  readonly #always: Decision | undefined;
  readonly #concerning = new Map<string, Concerning>();

  private constructor(text: string, rules: readonly Rule[], always?: Decision) {
    this.text = text;
    this.#rules = rules;
    this.#always = always;
  }

  /** Reads YAML. @param file for messages. @throws OutpostError `invalid_argument`; `data.problems` are `PolicyProblem`s */
  static parse(text: string, file: string): Policy {
    const read = readPolicy(text);
    if ("rules" in read) return new Policy(text, read.rules);
    const { problems } = read;
    const [{ line, column, message }] = problems as [PolicyProblem];
    const more = problems.length === 1 ? "" : ` (and ${String(problems.length - 1)} more)`;
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `${file}:${String(line)}:${String(column)}: ${message}${more}`,
      { data: { file, problems } },
    );
  }

  /** A policy that says the same to everybody. */
  static always(decision: Decision): Policy {
    return new Policy("", [], decision);
  }

  decide(request: PolicyRequest): Decision {
    if (this.#always !== undefined) return this.#always;
    const { operator, action } = request;
    const { denying, allowing } = this.#concern(operator, action);
    const rule =
      denying.find((each) => each.mismatch(request) === undefined) ??
      allowing.find((each) => each.mismatch(request) === undefined);
    if (rule !== undefined) {
      return { allowed: rule.effect === "allow", rule: rule.name, reason: rule.sentence(action) };
    }
    if (request.owner === operator && isForOwners(action)) {
      return { allowed: true, rule: "owner", reason: `it is ${operator}'s own` };
    }
    return { allowed: false, rule: "default", reason: `no rule allows ${describe(request)}` };
  }

  /** Every rule in its order, and what it says to this request. */
  explain(request: PolicyRequest): { readonly rule: string; readonly says: string }[] {
    return this.#rules.map((rule) => {
      const mismatch = rule.mismatch(request);
      const { action } = request;
      return {
        rule: rule.name,
        says: mismatch === undefined ? rule.verdict(action) : rule.excuse(mismatch, action),
      };
    });
  }

  #concern(operator: string, action: Action): Concerning {
    const pair = `${action} ${operator}`;
    let found = this.#concerning.get(pair);
    if (found === undefined) {
      const rules = this.#rules.filter((rule) => rule.concerns(operator, action));
      found = {
        denying: rules.filter(({ effect }) => effect === "deny"),
        allowing: rules.filter(({ effect }) => effect === "allow"),
      };
      if (this.#concerning.size >= rememberedPairs) this.#concerning.clear();
      this.#concerning.set(pair, found);
    }
    return found;
  }
}

/** e.g. `grace to invoke on db1 in the configuration maintenance as root` */
function describe({ operator, action, host, configuration, user }: PolicyRequest): string {
  const where = host === undefined ? "" : ` on ${host.name}`;
  if (!isStart(action)) return `${operator} to ${action}${where}`;
  const named = configuration !== undefined && configuration !== defaultConfiguration;
  const how = named ? ` in the configuration ${configuration}` : "";
  return `${operator} to ${action}${where}${how}${user === undefined ? "" : ` as ${user}`}`;
}

/** What is wrong with a policy's text; empty when nothing is. */
export function checkPolicy(text: string): PolicyProblem[] {
  const read = readPolicy(text);
  return "problems" in read ? [...read.problems] : [];
}

/** The policy of a host that has no file: whatever the controller lets through. */
export const permissivePolicy: Policy = Policy.always({
  allowed: true,
  rule: "none",
  reason: "this host has no policy of its own",
});

/** The policy where the file that should be there cannot be used. @param reason a sentence without its full stop */
export function closedPolicy(reason: string): Policy {
  return Policy.always({ allowed: false, rule: "default", reason });
}
