/** From targets to the hosts that they select. */
import { ErrorCode, OutpostError } from "../errors.ts";
import type { HostName, Labels } from "../ids.ts";
import type { Facts } from "../messages/host.ts";
import { isTrueOf } from "./comparison.ts";
import { malformed } from "./malformed.ts";
import { compareNames } from "./name-order.ts";
import { firstMissing, missingHosts } from "./missing.ts";
import type { Node, PatternNode, SetNode, SetOperator, Targets } from "./syntax.ts";

/** What evaluation needs to know of a host. */
export interface TargetHost {
  readonly name: HostName;
  readonly labels: Labels;
  /** Absent: nothing is known of them, and no fact is what a comparison asks for. */
  readonly facts?: Facts | undefined;
}

export interface EvaluateOptions {
  /** The names of all hosts, when only some of them may be selected: that others are there is no error. */
  readonly known?: { has(name: string): boolean } | undefined;
}

/**
 * The selected hosts, each once, by name.
 * @throws OutpostError `not_found` when a host that is named is not there, what is united with something else selects no host,
 * or nothing is selected at all: a typo must not shrink a fan-out silently
 */
export function evaluate<H extends TargetHost>(
  targets: Targets,
  hosts: Iterable<H>,
  options: EvaluateOptions = {},
): H[] {
  const byName = new Map<string, H>();
  for (const host of hosts) byName.set(host.name, host);
  const missing = missingHosts(targets, options.known ?? byName);
  if (missing.length > 0) throw firstMissing(missing);
  const selected = new Evaluation(targets, byName).select(targets.root);
  if (selected.size === 0) throw nothingFits(targets, targets.root);
  return sorted(selected);
}

/** Sets of hosts, made from the leaves up: as many steps as there are names, and for each pattern as there are hosts. */
class Evaluation<H extends TargetHost> {
  readonly #targets: Targets;
  readonly #hosts: ReadonlyMap<string, H>;

  constructor(targets: Targets, hosts: ReadonlyMap<string, H>) {
    this.#targets = targets;
    this.#hosts = hosts;
  }

  select(node: Node): Set<H> {
    switch (node.kind) {
      case "pattern":
        return this.#fitting(node);
      case "comparison":
        return this.#those((host) => isTrueOf(node, host.labels, host.facts));
      case "set":
        return this.#combined(node);
      case "or":
        return this.#union(node.operands);
      case "and": {
        const [first, ...others] = node.operands.map((operand) => this.select(operand));
        return others.reduce((left, right) => combine(left, "&", right), first!);
      }
      case "not": {
        const left = this.select(node.operand);
        return this.#those((host) => !left.has(host));
      }
      case "group":
        throw unexpanded(this.#targets, node);
      default:
        return node satisfies never;
    }
  }

  #those(isSelected: (host: H) => boolean): Set<H> {
    const selected = new Set<H>();
    for (const host of this.#hosts.values()) if (isSelected(host)) selected.add(host);
    return selected;
  }

  #fitting({ pattern }: PatternNode): Set<H> {
    if (pattern.kind === "glob" || pattern.count > this.#hosts.size) {
      return this.#those(({ name }) => pattern.matches(name));
    }
    const selected = new Set<H>();
    for (const name of pattern.names()) {
      const host = this.#hosts.get(name);
      if (host !== undefined) selected.add(host);
    }
    return selected;
  }

  #union(operands: readonly Node[]): Set<H> {
    const selected = new Set<H>();
    for (const operand of operands) {
      const found = this.select(operand);
      if (found.size === 0) throw nothingFits(this.#targets, operand);
      for (const host of found) selected.add(host);
    }
    return selected;
  }

  #combined({ operands, operators, start }: SetNode): Set<H> {
    let left = this.select(operands[0]!);
    for (const [index, operator] of operators.entries()) {
      const operand = operands[index + 1]!;
      const right = this.select(operand);
      if (operator === ",") {
        const { end } = operands[index]!;
        if (left.size === 0) {
          throw nothingFits(this.#targets, index === 0 ? operands[0]! : { kind: "set", start, end });
        }
        if (right.size === 0) throw nothingFits(this.#targets, operand);
      }
      left = combine(left, operator, right);
    }
    return left;
  }
}

/** Changes `left`, in as many steps as `right` has hosts. */
function combine<H>(left: Set<H>, operator: SetOperator, right: ReadonlySet<H>): Set<H> {
  switch (operator) {
    case ",":
      for (const host of right) left.add(host);
      return left;
    case "!":
      for (const host of right) left.delete(host);
      return left;
    case "^":
      for (const host of right) if (!left.delete(host)) left.add(host);
      return left;
    case "&": {
      const both = new Set<H>();
      for (const host of right) if (left.has(host)) both.add(host);
      return both;
    }
    default:
      return operator satisfies never;
  }
}

/** Whether the expression selects this host: what a host can say of itself alone. That others are there is not asked. */
export function selects(targets: Targets, host: TargetHost): boolean {
  const isSelected = (node: Node): boolean => {
    switch (node.kind) {
      case "pattern":
        return node.pattern.matches(host.name);
      case "comparison":
        return isTrueOf(node, host.labels, host.facts);
      case "or":
        return node.operands.some(isSelected);
      case "and":
        return node.operands.every(isSelected);
      case "not":
        return !isSelected(node.operand);
      case "set":
        return node.operators.reduce(
          (left, operator, index) => decide(left, operator, () => isSelected(node.operands[index + 1]!)),
          isSelected(node.operands[0]!),
        );
      case "group":
        throw unexpanded(targets, node);
      default:
        return node satisfies never;
    }
  };
  return isSelected(targets.root);
}

function decide(left: boolean, operator: SetOperator, right: () => boolean): boolean {
  switch (operator) {
    case ",":
      return left || right();
    case "&":
      return left && right();
    case "!":
      return left && !right();
    case "^":
      return left !== right();
    default:
      return operator satisfies never;
  }
}

/**
 * Whether the expression asks for this host by its name, also as one of a range. Names that are taken away (behind `!` and `not`)
 * ask for nothing.
 */
export function names(targets: Targets, name: string): boolean {
  const asks = (node: Node): boolean => {
    switch (node.kind) {
      case "pattern":
        return node.pattern.kind !== "glob" && node.pattern.matches(name);
      case "set":
        return node.operands.some((operand, index) => node.operators[index - 1] !== "!" && asks(operand));
      case "or":
      case "and":
        return node.operands.some(asks);
      case "comparison":
      case "not":
      case "group":
        return false;
      default:
        return node satisfies never;
    }
  };
  return asks(targets.root);
}

/** By name, `web9` before `web10`. */
export function sorted<H extends Pick<TargetHost, "name">>(hosts: Iterable<H>): H[] {
  return [...hosts].sort((left, right) => compareNames(left.name, right.name));
}

function nothingFits({ text }: Targets, node: Pick<Node, "kind" | "start" | "end">): OutpostError {
  const target = text.slice(node.start, node.end).trim();
  const short = target.length > 200 ? `${target.slice(0, 200)}…` : target;
  const what =
    node.kind === "pattern"
      ? `no host's name fits ${short}`
      : node.kind === "comparison"
        ? `no host has ${short}`
        : `no host is selected by ${short}`;
  return new OutpostError(ErrorCode.notFound, `${what}; \`outpost host list\` shows the hosts`, {
    data: { target: short },
  });
}

function unexpanded({ text }: Targets, { start }: Node): OutpostError {
  return malformed("groups are expanded by the client, and this is behind it", text, start);
}
