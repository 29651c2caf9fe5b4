/** Sets of names without any controller: what ClusterShell's `nodeset` does. */
import { malformed } from "./malformed.ts";
import { compareNames } from "./name-order.ts";
import { parse } from "./parser.ts";
import type { Node, SetNode, Targets } from "./syntax.ts";

export { fold } from "./fold.ts";

/**
 * `web[1-3,7]!web2` → web1, web3, web7: each name once, by name.
 * @param pattern names, ranges and set operators; at most 1,000,000 names
 * @throws OutpostError `invalid_argument` for what needs hosts to be asked for: `*`, `?`, labels, facts, groups, `not`
 */
export function expand(pattern: string): string[] {
  const targets = parse(pattern, { local: true });
  return [...namesOf(targets, targets.root)].sort(compareNames);
}

/** Whether `expand` can write it out: it says which hosts it means without knowing any. */
export function isPlainSet({ root }: Targets): boolean {
  const isPlain = (node: Node): boolean => {
    switch (node.kind) {
      case "pattern":
        return node.pattern.kind !== "glob";
      case "set":
      case "and":
      case "or":
        return node.operands.every(isPlain);
      default:
        return false;
    }
  };
  return isPlain(root);
}

function namesOf(targets: Targets, node: Node): Set<string> {
  switch (node.kind) {
    case "pattern":
      if (node.pattern.kind === "glob") break;
      return new Set(node.pattern.names());
    case "set":
      return combined(targets, node);
    case "or":
      return node.operands
        .map((operand) => namesOf(targets, operand))
        .reduce((left, right) => left.union(right));
    case "and":
      return node.operands
        .map((operand) => namesOf(targets, operand))
        .reduce((left, right) => left.intersection(right));
    case "comparison":
    case "group":
    case "not":
      break;
    default:
      return node satisfies never;
  }
  throw malformed("which hosts this means, only a controller can say", targets.text, node.start);
}

function combined(targets: Targets, { operands, operators }: SetNode): Set<string> {
  let left = namesOf(targets, operands[0]!);
  for (const [index, operator] of operators.entries()) {
    const right = namesOf(targets, operands[index + 1]!);
    if (operator === ",") for (const name of right) left.add(name);
    else if (operator === "!") for (const name of right) left.delete(name);
    else if (operator === "&") left = right.intersection(left);
    else for (const name of right) if (!left.delete(name)) left.add(name);
  }
  return left;
}
