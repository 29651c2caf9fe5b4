import * as fc from "fast-check";
import { expect, test } from "vitest";
import { fits } from "./glob.ts";

test("fits as the regular expression of the same meaning", () => {
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 10 });
  fc.assert(
    fc.property(pattern, text, (glob, candidate) => {
      const meaning = new RegExp(`^${glob.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      expect(fits(glob, candidate)).toBe(meaning.test(candidate));
    }),
    { numRuns: 2_000 },
  );
});

test("does not take forever", () => {
  expect(fits(`${"*a".repeat(40)}b`, "a".repeat(250))).toBe(false);
});
