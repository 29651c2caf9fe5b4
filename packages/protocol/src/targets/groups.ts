/**
 * Groups in an expression, which only the client knows: it puts what they stand for in their place, in the text, before anything
 * is signed or sent.
 */
import { ErrorCode, OutpostError } from "../errors.ts";
import { maxExpressionLength } from "../limits.ts";
import { tooLarge } from "./malformed.ts";
import { parse } from "./parser.ts";
import { type GroupNode, leaves, type Node, type Targets } from "./syntax.ts";

/** Groups of groups of groups …: deeper is a mistake. */
const maxNesting = 32;

/** The groups that are named, each once: `eu-web` for `@eu-web`, `slurm:gpu` for `@slurm:gpu`. */
export function groupsOf({ root }: Targets): readonly string[] {
  return [...new Set([...leaves(root)].flatMap((leaf) => (leaf.kind === "group" ? [leaf.group] : [])))];
}

/**
 * The expression with every group replaced by what it stands for.
 * @param resolve what a group stands for: an expression, which may hold groups in its turn
 * @throws OutpostError `invalid_argument`, also for a group that contains itself, with `data.groups`; `limit_exceeded`; what
 * `resolve` throws
 */
export async function withGroups(text: string, resolve: (group: string) => Promise<string>): Promise<string> {
  return new Substitution(resolve).written(text, []);
}

class Substitution {
  readonly #resolve: (group: string) => Promise<string>;
  /** A group that is there twice is asked for once. */
  readonly #known = new Map<string, string>();

  constructor(resolve: (group: string) => Promise<string>) {
    this.#resolve = resolve;
  }

  /** @param chain the groups that this is the text of, the outermost first */
  async written(text: string, chain: readonly string[]): Promise<string> {
    if (!text.includes("@")) return text;
    const { root } = parse(text, { groups: true });
    let result = "";
    let at = 0;
    for (const { node, place } of placesOf(root)) {
      const inner = await this.#group(node.group, chain);
      result += text.slice(at, node.start) + (fitsIn(inner, place) ? inner : `(${inner})`);
      at = node.end;
      if (result.length > maxExpressionLength) {
        throw tooLarge(
          `with its groups written out it has more than ${String(maxExpressionLength)} characters; use patterns or labels instead of names`,
        );
      }
    }
    return result + text.slice(at);
  }

  async #group(group: string, chain: readonly string[]): Promise<string> {
    const known = this.#known.get(group);
    if (known !== undefined) return known;
    const inner = [...chain, group];
    if (chain.includes(group)) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        `the group @${group} contains itself: ${inner.map((each) => `@${each}`).join(" → ")}`,
        { data: { groups: inner } },
      );
    }
    if (inner.length > maxNesting) {
      throw tooLarge(
        `groups may contain groups ${String(maxNesting)} deep, not more: ${inner.map((each) => `@${each}`).join(" → ")}`,
      );
    }
    const text = await this.#resolve(group);
    try {
      const written = await this.written(text, inner);
      parse(written);
      this.#known.set(group, written);
      return written;
    } catch (error) {
      throw ofGroup(group, text, error);
    }
  }
}

/** The place is one in the group's text, not in the text that somebody has typed. */
function ofGroup(group: string, text: string, error: unknown): unknown {
  if (!(error instanceof OutpostError) || error.data["groups"] !== undefined) return error;
  const { position } = error.data;
  return new OutpostError(error.code, `in the group @${group}: ${error.message}`, {
    data: { ...error.data, groups: [group], ...(position === undefined ? {} : { expression: text }) },
    cause: error,
  });
}

/** Where a group may stand without parentheses around what it stands for: `alone`, any; in a `union`, another one. */
type GroupPlace = "alone" | "union" | "other";

function* placesOf(
  node: Node,
  place: GroupPlace = "alone",
): Generator<{ node: GroupNode; place: GroupPlace }> {
  switch (node.kind) {
    case "group":
      yield { node, place };
      return;
    case "set": {
      const inner = node.operators.every((operator) => operator === ",") ? "union" : "other";
      for (const operand of node.operands) yield* placesOf(operand, inner);
      return;
    }
    case "and":
    case "or":
      for (const operand of node.operands) yield* placesOf(operand, "other");
      return;
    case "not":
      yield* placesOf(node.operand, "other");
      return;
    case "pattern":
    case "comparison":
      return;
    default:
      node satisfies never;
  }
}

/** Plain lists stay plain: agents before version 3 read nothing else. */
function fitsIn(text: string, place: GroupPlace): boolean {
  const { root } = parse(text);
  if (place === "alone" || root.kind === "pattern" || root.kind === "comparison") return true;
  return place === "union" && root.kind === "set" && root.operators.every((operator) => operator === ",");
}
