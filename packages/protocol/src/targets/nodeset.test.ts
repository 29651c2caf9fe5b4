import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareNames, expand, fold, isPlainSet, parse } from "./index.ts";
import { NamePattern } from "./name-pattern.ts";

describe("fold", () => {
  test.each([
    [[], ""],
    [["web1"], "web1"],
    [["web2", "web1", "web2"], "web[1-2]"],
    [["web1", "web3", "web2", "db1", "mail"], "db1,mail,web[1-3]"],
    [["n9", "n10", "n08", "n09", "n010"], "n[9,08-10,010]"],
    [["n1", "n01", "n001"], "n[1,01,001]"],
    [["a1-b1", "a1-b2", "a2-b1", "a2-b2", "a3-b1"], "a[1-2]-b[1-2],a3-b1"],
    [["a99999999999999999999", "a100000000000000000000"], "a[99999999999999999999-100000000000000000000]"],
    [["7", "8"], "[7-8]"],
  ])("%j is %s", (names, folded) => {
    expect(fold(names)).toBe(folded);
  });

  const name = fc
    .array(
      fc.tuple(fc.constantFrom("a", "b-", ".", "x_"), fc.constantFrom("", "0", "1", "2", "3", "01", "10")),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((parts) => `n${parts.flat().join("")}`);

  test("written out again it is the same names", () => {
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 60 }), (names) => {
        expect(expand(fold(names))).toEqual([...new Set(names)].sort(compareNames));
      }),
    );
  });

  // No time is measured: a quadratic way would take minutes here, and this takes a second at most.
  test.each([
    ["that fold", (at: number) => `a-${String(at % 100)}-b-${String(Math.floor(at / 100))}-c`],
    [
      "that do not fold",
      (at: number) => `a-${String((at * 7_919) % 20_011)}-b-${String((at * 104_729) % 20_021)}-c`,
    ],
    [
      "that fold a little",
      (at: number) => `a${String((at * at) % 211)}b${String((at * 31) % 173)}c${String(at % 7)}`,
    ],
    [
      "with ten numbers",
      (at: number) => Array.from(String(at).padStart(10, "0"), (digit) => `x${digit}`).join(""),
    ],
  ])("20,000 names %s", (_, nameAt) => {
    const names = Array.from({ length: 20_000 }, (_each, at) => nameAt(at));
    expect(expand(fold(names))).toEqual([...new Set(names)].sort(compareNames));
  });
});

describe("expand", () => {
  test.each([
    ["web[1-3]", ["web1", "web2", "web3"]],
    ["web[08-10]", ["web08", "web09", "web10"]],
    ["web[0-10/5,7]", ["web0", "web5", "web7", "web10"]],
    ["[1 - 2 , 5]a", ["1a", "2a", "5a"]],
    ["r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]],
    ["r[1-2][0-1]", ["r10", "r11", "r20", "r21"]],
    // As text, unlike ClusterShell, which takes it for a[18-112].
    ["a1[8-11]", ["a18", "a19", "a110", "a111"]],
    ["a[1-2]0", ["a10", "a20"]],
    ["a,b!a", ["b"]],
    ["a[1-9]&a[5-20]", ["a5", "a6", "a7", "a8", "a9"]],
    ["a[1-3]^a[2-4]", ["a1", "a4"]],
    ["a[1-3]!a2 or b1 and b[1-9]", ["a1", "a3", "b1"]],
    ["a!a", []],
  ])("%s", (pattern, names) => {
    expect(expand(pattern)).toEqual(names);
    expect(isPlainSet(parse(pattern))).toBe(true);
  });

  test.each(["web*", "role=web", "not a", "a,b?"])("%s takes hosts to write it out", (pattern) => {
    expect(() => expand(pattern)).toThrow("only a controller can say");
    expect(isPlainSet(parse(pattern))).toBe(false);
  });

  test("set operators are those of sets", () => {
    const part = fc
      .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }))
      .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
    const operator = fc.constantFrom(",", "!", "&", "^");
    fc.assert(
      fc.property(part, fc.array(fc.tuple(operator, part), { maxLength: 6 }), (first, others) => {
        const text = ({ from, to }: { from: number; to: number }): string =>
          `n[${String(from)}-${String(to)}]`;
        const isIn = (number: number, { from, to }: { from: number; to: number }): boolean =>
          number >= from && number <= to;
        const expected = Array.from({ length: 31 }, (_, number) => number).filter((number) =>
          others.reduce(
            (is, [sign, other]) => {
              const isOther = isIn(number, other);
              return { ",": is || isOther, "!": is && !isOther, "&": is && isOther, "^": is !== isOther }[
                sign
              ];
            },
            isIn(number, first),
          ),
        );
        const expression = text(first) + others.map(([sign, other]) => sign + text(other)).join("");
        expect(expand(expression)).toEqual(expected.map((number) => `n${String(number)}`));
      }),
    );
  });
});

describe("whether a name is of a pattern", () => {
  const range = fc
    .tuple(
      fc.integer({ min: 0, max: 25 }),
      fc.integer({ min: 0, max: 12 }),
      fc.constantFrom(1, 2, 5),
      fc.constantFrom(0, 2, 3),
    )
    .map(([start, length, step, padding]) => {
      const [from, to] = [start, start + length].map((each) => String(each).padStart(padding, "0"));
      return `${from!}-${to!}${step === 1 ? "" : `/${String(step)}`}`;
    })
    .filter((text) => /^(?!0\d).*|^(\d+)-\d+/.test(text));
  const piece = fc.oneof(
    fc.constantFrom("a", "1", "0", "b-"),
    fc
      .array(fc.oneof(range, fc.constantFrom("7", "07", "10")), { minLength: 1, maxLength: 3 })
      .map((all) => `[${all.join(",")}]`),
  );

  test("is whether it is among what the pattern is written out", () => {
    const pattern = fc.array(piece, { minLength: 1, maxLength: 4 }).map((all) => all.join(""));
    const candidate = fc
      .array(fc.constantFrom("a", "b-", "0", "1", "7", "07", "10", "2"), { maxLength: 5 })
      .map((all) => all.join(""));
    fc.assert(
      fc.property(
        pattern,
        fc.array(candidate),
        fc.array(fc.nat(), { maxLength: 10 }),
        (text, candidates, picks) => {
          const read = new NamePattern(text);
          const written = new Set(read.names());
          expect(written.size).toBeLessThanOrEqual(read.count);
          const all = [...written];
          for (const pick of picks) expect(read.matches(all[pick % all.length]!)).toBe(true);
          for (const each of candidates) expect(read.matches(each)).toBe(written.has(each));
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("names are in the order in which people count", () => {
  const sorted = [
    "a",
    "a-1",
    "a.1",
    "a0",
    "a00",
    "a1",
    "a01",
    "a2",
    "a10",
    "a10b",
    "a100",
    "b",
    "b1a2",
    "b1a10",
    "b02a1",
  ];
  expect(sorted.toReversed().sort(compareNames)).toEqual(sorted);
  const text = fc.string({ unit: fc.constantFrom("a", "b", "-", "0", "1", "9"), maxLength: 6 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      expect(Math.sign(compareNames(a, b))).toBe(-Math.sign(compareNames(b, a)) + 0);
      expect(compareNames(a, b) === 0).toBe(a === b);
      if (compareNames(a, b) <= 0 && compareNames(b, c) <= 0)
        expect(compareNames(a, c)).toBeLessThanOrEqual(0);
    }),
    { numRuns: 2_000 },
  );
});
