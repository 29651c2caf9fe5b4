/** What can be said of an expression without any host. */
import { isFact } from "./comparison.ts";
import { type ComparisonNode, leaves, type Node, type Targets } from "./syntax.ts";

/** Whether it asks for a fact: what hosts say of themselves. */
export function usesFacts(targets: Targets): boolean {
  return firstFact(targets) !== undefined;
}

/** The first key that may be a fact's, and where it stands, from 1. */
export function firstFact({
  root,
}: Targets): { readonly key: string; readonly position: number } | undefined {
  const asks = [...leaves(root)].find(
    (leaf): leaf is ComparisonNode => leaf.kind === "comparison" && isFact(leaf.key),
  );
  return asks === undefined ? undefined : { key: asks.key, position: asks.start + 1 };
}

/** Whether it selects every host there may ever be, because `*` is one of what it unites. */
export function isEverything({ root }: Targets): boolean {
  const isAll = (node: Node): boolean => {
    switch (node.kind) {
      case "pattern":
        return node.pattern.isEverything;
      case "or":
        return node.operands.some(isAll);
      case "and":
        return node.operands.every(isAll);
      case "set":
        return node.operators.every((operator) => operator === ",") && node.operands.some(isAll);
      case "comparison":
      case "group":
      case "not":
        return false;
      default:
        return node satisfies never;
    }
  };
  return isAll(root);
}

/** Whether agents and controllers before version 3 can read it: a union of names, patterns and labels. */
export function isReadableByVersion2(targets: Targets): boolean {
  const isKnown = (node: Node): boolean => {
    const text = targets.text.slice(node.start, node.end);
    if (node.kind === "pattern") return /^[a-z0-9._*?-]+$/.test(text);
    if (node.kind === "comparison")
      return node.comparator === "=" && !isFact(node.key) && !/["'\\]/.test(text);
    return false;
  };
  const { root } = targets;
  if (root.kind !== "set") return isKnown(root);
  return root.operators.every((operator) => operator === ",") && root.operands.every(isKnown);
}
