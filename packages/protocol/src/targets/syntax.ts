/**
 * What a target expression is made of, once it is read.
 *
 *     expression = conjunction { "or" conjunction }
 *     conjunction = negation { "and" negation }
 *     negation   = "not" negation | set
 *     set        = item { ( "," | "&" | "!" | "^" ) item }      from left to right
 *     item       = "(" expression ")" | "@" group | key operator value | pattern
 */
import type { NamePattern } from "./name-pattern.ts";
import type { Operand } from "./operand.ts";

/** Where something stands in the expression: from `start` to before `end`, counted from 0. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** Union, intersection, difference, symmetric difference: ClusterShell's. */
export type SetOperator = "," | "&" | "!" | "^";

export type Comparator = "=" | "!=" | "<" | "<=" | ">" | ">=";

export type PatternNode = Place & { readonly kind: "pattern"; readonly pattern: NamePattern };

/** About a label or a fact. */
export type ComparisonNode = Place & {
  readonly kind: "comparison";
  readonly key: string;
  readonly comparator: Comparator;
  readonly operand: Operand;
};

/** `@name`, `@source:name`: what it stands for, only the client knows. */
export type GroupNode = Place & { readonly kind: "group"; readonly group: string };

/** One operator less than operands. */
export type SetNode = Place & {
  readonly kind: "set";
  readonly operands: readonly Node[];
  readonly operators: readonly SetOperator[];
};

export type LogicNode = Place & { readonly kind: "and" | "or"; readonly operands: readonly Node[] };

export type NotNode = Place & { readonly kind: "not"; readonly operand: Node };

export type Node = PatternNode | ComparisonNode | GroupNode | SetNode | LogicNode | NotNode;

/** A target expression that was read. */
export interface Targets {
  /** As it was given. */
  readonly text: string;
  readonly root: Node;
}

/** Every pattern, comparison and group, in their order. */
export function* leaves(node: Node): Generator<PatternNode | ComparisonNode | GroupNode> {
  switch (node.kind) {
    case "pattern":
    case "comparison":
    case "group":
      yield node;
      return;
    case "not":
      yield* leaves(node.operand);
      return;
    case "set":
    case "and":
    case "or":
      for (const operand of node.operands) yield* leaves(operand);
      return;
    default:
      return node satisfies never;
  }
}
