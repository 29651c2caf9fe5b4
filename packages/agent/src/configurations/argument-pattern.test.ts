import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ArgumentItem,
  type ArgumentPattern,
  itemText,
  matchArgument,
  matchArguments,
} from "./argument-pattern.ts";

const literal = (text: string): ArgumentPattern => ({ kind: "literal", text });
const regex = (source: string, options = false): ArgumentPattern => ({ kind: "regex", source, options });
const oneOf = (...patterns: ArgumentPattern[]): ArgumentPattern => ({ kind: "oneOf", patterns });
const optional = (...items: ArgumentItem[]): ArgumentItem => ({ kind: "optional", items });
const rest = (pattern: ArgumentPattern): ArgumentItem => ({ kind: "rest", pattern });

describe("one argument", () => {
  test.each<[string, ArgumentPattern, string[], string[]]>([
    ["a literal", literal("now"), ["now"], ["", "no", "now ", "NOW", "now\n", "-now", "now\0"]],
    ["a literal option", literal("--now"), ["--now"], ["--now=x", "-now"]],
    [
      "a whole expression",
      regex("[a-z]+"),
      ["a", "abc"],
      ["", "a1", "1a", "a\n", "\na", "a\nb", "-a", "a\0"],
    ],
    ["an alternative in it", regex("a|b"), ["a", "b"], ["ab", "ac", "ba"]],
    ["its own anchors", regex("^a$"), ["a"], ["aa", "a\n", "\na"]],
    ["a dot", regex(".*"), ["", "a b;$(x)`y`*", "ä😀"], ["a\nb", "-", "-a", "--", "--a=b"]],
    ["one that may be an option", regex(".*", true), ["-", "-a", "--a=b", "a"], ["a\n"]],
    ["one of several", oneOf(literal("a"), regex("b+")), ["a", "b", "bb"], ["", "ab", "-a"]],
    [
      "one of several options",
      oneOf(literal("-f"), literal("--force")),
      ["-f", "--force"],
      ["-ff", "force", "-fx"],
    ],
  ])("%s", (_, pattern, fits, others) => {
    for (const text of fits) expect(matchArgument(pattern, text), text).toBe(true);
    for (const text of others) expect(matchArgument(pattern, text), text).toBe(false);
  });

  test("takes no longer than it may", () => {
    const begun = performance.now();
    expect(matchArgument(regex("(a|a)*b"), "a".repeat(100))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

describe("arguments", () => {
  test.each<[string, ArgumentItem[], string[][], string[][]]>([
    ["none", [], [[]], [["a"], [""]]],
    ["in order", [literal("a"), literal("b")], [["a", "b"]], [["a"], ["b", "a"], ["a", "b", "c"], ["a b"]]],
    [
      "an optional one",
      [optional(literal("a")), literal("b")],
      [["a", "b"], ["b"]],
      [["a"], ["a", "a", "b"], []],
    ],
    [
      "optional ones together",
      [optional(literal("-n"), regex("\\d+"))],
      [[], ["-n", "1"]],
      [["-n"], ["1"], ["-n", "x"]],
    ],
    [
      "what could be two things",
      [optional(regex("a")), regex("a")],
      [["a"], ["a", "a"]],
      [[], ["a", "a", "a"]],
    ],
    [
      "the rest",
      [literal("a"), rest(regex("\\d"))],
      [["a"], ["a", "1"], ["a", "1", "2"]],
      [[], ["a", "x"], ["a", "1", "-2"]],
    ],
  ])("%s", (_, items, fits, others) => {
    for (const given of fits) expect(matchArguments(items, given), given.join(" ")).toBe(true);
    for (const given of others) expect(matchArguments(items, given), given.join(" ")).toBe(false);
  });

  test("no more than a thousand", () => {
    expect(matchArguments([rest(literal("a"))], Array(1_000).fill("a") as string[])).toBe(true);
    expect(matchArguments([rest(literal("a"))], Array(1_001).fill("a") as string[])).toBe(false);
  });

  test("many items that could all be left out take no time", () => {
    const items = Array.from({ length: 200 }, () => optional(literal("a")));
    const begun = performance.now();
    expect(matchArguments(items, Array(200).fill("a") as string[])).toBe(true);
    expect(matchArguments(items, [...(Array(199).fill("a") as string[]), "b"])).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

/** The same by trying everything, with no sets of places and no context of its own. */
function naive(items: readonly ArgumentItem[], given: readonly string[]): boolean {
  const [first, ...others] = items;
  if (first === undefined) return given.length === 0;
  const [head, ...tail] = given;
  switch (first.kind) {
    case "optional":
      return naive(others, given) || naive([...first.items, ...others], given);
    case "rest":
      return (
        naive(others, given) || (head !== undefined && fitsNaively(first.pattern, head) && naive(items, tail))
      );
    default:
      return head !== undefined && fitsNaively(first, head) && naive(others, tail);
  }
}

function fitsNaively(pattern: ArgumentPattern, text: string): boolean {
  switch (pattern.kind) {
    case "literal":
      return text === pattern.text;
    case "oneOf":
      return pattern.patterns.some((each) => fitsNaively(each, text));
    case "regex":
      return (
        (!text.startsWith("-") || pattern.options) && new RegExp(`^(?:${pattern.source})$`, "u").test(text)
      );
    default:
      return pattern satisfies never;
  }
}

const word = fc.constantFrom("", "a", "b", "ab", "-", "-a", "--a", "a\nb", "1", ";", "$(a)", "*");
const onePattern: fc.Arbitrary<ArgumentPattern> = fc.oneof(
  word.map(literal),
  fc
    .tuple(fc.constantFrom(".*", "a+|b", "-?a", "[^\\n]*", "\\d", ""), fc.boolean())
    .map(([source, may]) => regex(source, may)),
);
const pattern = fc.oneof(
  onePattern,
  fc.array(onePattern, { minLength: 1, maxLength: 3 }).map((all) => oneOf(...all)),
);
const item: fc.Arbitrary<ArgumentItem> = fc.oneof(
  { weight: 3, arbitrary: pattern },
  fc.array(pattern, { minLength: 1, maxLength: 2 }).map((all) => optional(...all)),
  pattern.map(rest),
);

test("agrees with trying everything", () => {
  const items = fc.array(item, { maxLength: 4 });
  const given = fc.array(word, { maxLength: 5 });
  fc.assert(
    fc.property(items, given, (allowed, argv) => {
      expect(matchArguments(allowed, argv)).toBe(naive(allowed, argv));
    }),
    { numRuns: 3_000 },
  );
});

test("never lets an option through a pattern that does not say so, whatever it is", () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(".*", "[^]*", "-?.*", "--a|.*"), (text, source) => {
      expect(matchArgument(regex(source), `-${text}`)).toBe(false);
    }),
  );
});

test("is told in words", () => {
  const items = [
    literal("restart"),
    optional(literal("--now"), regex("\\d+")),
    rest(oneOf(literal("a b"), literal("c"))),
  ];
  expect(items.map(itemText).join(" ")).toBe('restart [--now /\\d+/] ("a b"|c)…');
});
