/**
 * Which arguments an allowed command may have. Arguments are compared one by one and whole; there is no text in which
 * two of them could run together, and nothing in them has a meaning to this.
 *
 *     start ──one──▶ restart | status ──one──▶ shop-[a-z]+ ──rest──▶ …          every argument must be taken by one item
 */
import { createContext, Script } from "node:vm";
import * as v from "valibot";

/** How long a regular expression may look at one argument, in milliseconds. One that takes longer does not match: an
 * expression may need exponential time, and the argument is an operator's. */
const regexTimeoutMs = 100;
/** The most arguments of an allowed command. */
const maxArguments = 1_000;

/** One argument. */
export type ArgumentPattern =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "regex"; readonly source: string; readonly options: boolean }
  | { readonly kind: "oneOf"; readonly patterns: readonly ArgumentPattern[] };

/** What takes none, one or more arguments. */
export type ArgumentItem =
  | ArgumentPattern
  /** All of these, or nothing. */
  | { readonly kind: "optional"; readonly items: readonly ArgumentItem[] }
  /** Any number, none included. */
  | { readonly kind: "rest"; readonly pattern: ArgumentPattern };

/** Whether the items take all of the arguments, each in its order. */
export function matchArguments(items: readonly ArgumentItem[], given: readonly string[]): boolean {
  return given.length <= maxArguments && endsOf(items, given, new Set([0])).has(given.length);
}

/** How many arguments may be taken after these items, having taken so many before. */
function endsOf(
  items: readonly ArgumentItem[],
  given: readonly string[],
  starts: ReadonlySet<number>,
): ReadonlySet<number> {
  return items.reduce((from, item) => after(item, given, from), starts);
}

function after(item: ArgumentItem, given: readonly string[], from: ReadonlySet<number>): ReadonlySet<number> {
  switch (item.kind) {
    case "optional":
      return new Set([...from, ...endsOf(item.items, given, from)]);
    case "rest": {
      const reached = new Set(from);
      // The first ones are enough: whoever comes later to a place goes on as those do.
      for (const at of [...from].sort((a, b) => a - b)) {
        for (let end = at; end < given.length && matchArgument(item.pattern, given[end]!);) {
          end++;
          if (reached.has(end)) break;
          reached.add(end);
        }
      }
      return reached;
    }
    default: {
      const ends = new Set<number>();
      for (const at of from) if (at < given.length && matchArgument(item, given[at]!)) ends.add(at + 1);
      return ends;
    }
  }
}

/** NUL cannot be passed to a program, and is not in any argument; what holds one is no argument. */
export function matchArgument(pattern: ArgumentPattern, text: string): boolean {
  if (text.includes("\0")) return false;
  switch (pattern.kind) {
    case "literal":
      return text === pattern.text;
    case "oneOf":
      return pattern.patterns.some((each) => matchArgument(each, text));
    case "regex":
      // An option is smuggled in where a value is expected, unless the pattern says that it may be one.
      if (text.startsWith("-") && !pattern.options) return false;
      return matchWhole(pattern.source, text);
    default:
      return pattern satisfies never;
  }
}

/** In a context of its own, because only there the time can be limited. */
const regexContext = createContext(Object.create(null) as Record<string, unknown>);
const regexTest = new Script("expression.test(text)");
const expressions = new Map<string, RegExp>();

function matchWhole(source: string, text: string): boolean {
  let expression = expressions.get(source);
  if (expression === undefined) {
    expression = wholeExpression(source);
    if (expressions.size > 1_000) expressions.clear();
    expressions.set(source, expression);
  }
  regexContext["expression"] = expression;
  regexContext["text"] = text;
  try {
    return regexTest.runInContext(regexContext, { timeout: regexTimeoutMs }) === true;
  } catch {
    return false; // It took too long.
  }
}

/** `^` and `$` around it, whatever is in it: without `m` they are the ends of the argument and no line's. */
function wholeExpression(source: string): RegExp {
  return new RegExp(`^(?:${source})$`, "u");
}

// --------------------------------------------------------------------------------------------- as it is written

const Text = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), "must not hold a NUL character"),
);
const Literal = v.pipe(
  Text,
  v.transform((text): ArgumentPattern => ({ kind: "literal", text })),
);
const Source = v.pipe(
  v.string(),
  v.maxLength(4_096, "is longer than 4096 characters"),
  v.check(isExpression, "is not a regular expression"),
);
const Regex = v.pipe(
  v.strictObject({
    pattern: Source,
    anchored: v.optional(v.literal(true)),
    options: v.optional(v.boolean()),
  }),
  v.transform(({ pattern, options = false }): ArgumentPattern => ({
    kind: "regex",
    source: pattern,
    options,
  })),
);
const alternatives = v.union([Literal, Regex], "must be text in quotes or {pattern: …}");
const OneOf = v.pipe(
  v.strictObject({ oneOf: v.pipe(v.array(alternatives), v.minLength(1, "must not be empty")) }),
  v.transform(({ oneOf }): ArgumentPattern => ({ kind: "oneOf", patterns: oneOf })),
);
const One = chosen({ pattern: Regex, oneOf: OneOf });
const optionalItems = v.union(
  [
    v.pipe(v.array(One), v.minLength(1, "must not be empty")),
    v.pipe(
      One,
      v.transform((item): ArgumentPattern[] => [item]),
    ),
  ],
  "must be an argument, or a list of arguments",
);
const Optional = v.pipe(
  v.strictObject({ optional: optionalItems }),
  v.transform(({ optional }): ArgumentItem => ({ kind: "optional", items: optional })),
);
const Rest = v.pipe(
  v.strictObject({ rest: One }),
  v.transform(({ rest }): ArgumentItem => ({ kind: "rest", pattern: rest })),
);

/** A literal, or the schema that the key of the map names: so that a mistake in one is told as that one's. */
function chosen<S extends Readonly<Record<string, v.GenericSchema<unknown, ArgumentItem>>>>(kinds: S) {
  type Output = ArgumentPattern | v.InferOutput<S[keyof S]>;
  const names = Object.keys(kinds).map((name) => `{${name}: …}`);
  return v.lazy((input): v.GenericSchema<unknown, Output> => {
    if (typeof input === "string") return Literal;
    const keys = typeof input === "object" && input !== null ? Object.keys(input) : [];
    const kind = keys.find((key) => Object.hasOwn(kinds, key));
    if (kind !== undefined) return kinds[kind]!;
    return v.pipe(
      v.unknown(),
      v.check(() => false, `is not an argument: it must be text (numbers in quotes) or ${names.join(", ")}`),
      v.transform((): Output => ({ kind: "literal", text: "" })),
    );
  });
}

export const Arguments = v.pipe(
  v.array(chosen({ pattern: Regex, oneOf: OneOf, optional: Optional, rest: Rest })),
  v.check(
    (items) => items.every(({ kind }, at) => kind !== "rest" || at === items.length - 1),
    "has a {rest: …} that is not its last",
  ),
);

function isExpression(source: string): boolean {
  try {
    // Alone first: parentheses that do not match could balance those that are put around it.
    new RegExp(source, "u");
    wholeExpression(source);
    return true;
  } catch {
    return false;
  }
}

// -------------------------------------------------------------------------------------------------- for people

/** As a person may read it, e.g. `(status|restart) /shop-[a-z]+/ [--now] …`. */
export function itemText(item: ArgumentItem): string {
  switch (item.kind) {
    case "literal":
      return /^[\w@%+=:,./-]+$/.test(item.text) ? item.text : JSON.stringify(item.text);
    case "regex":
      return `/${item.source}/`;
    case "oneOf":
      return `(${item.patterns.map(itemText).join("|")})`;
    case "optional":
      return `[${item.items.map(itemText).join(" ")}]`;
    case "rest":
      return `${itemText(item.pattern)}…`;
    default:
      return item satisfies never;
  }
}
