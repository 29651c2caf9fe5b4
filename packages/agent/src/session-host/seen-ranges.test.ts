import fc from "fast-check";
import { expect, test } from "vitest";
import { SeenRanges } from "./seen-ranges.ts";

const size = 60;
const range = fc.tuple(fc.nat(size), fc.nat(size));

test("touching and overlapping ranges become one", () => {
  const seen = new SeenRanges();
  seen.add(0, 10);
  seen.add(20, 30);
  seen.add(10, 12);
  expect(seen.ranges).toEqual([
    { from: 0, to: 12 },
    { from: 20, to: 30 },
  ]);
  seen.add(11, 25);
  expect(seen.ranges).toEqual([{ from: 0, to: 30 }]);
});

test("it is a set of offsets, whatever was added in which order", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (added) => {
      const seen = new SeenRanges();
      const model = new Set<number>();
      for (const [from, to] of added) {
        seen.add(from, to);
        for (let at = from; at < to; at++) model.add(at);
      }
      const all = Array.from({ length: size + 1 }, (_, at) => at);
      for (const at of all) {
        expect(seen.firstUnseen(at)).toBe(all.find((o) => o >= at && !model.has(o)) ?? size + 1);
        expect(seen.firstSeen(at)).toBe(all.find((o) => o >= at && model.has(o)) ?? Infinity);
        expect(seen.count(at, at + 10)).toBe(
          all.filter((o) => o >= at && o < at + 10 && model.has(o)).length,
        );
      }
      for (const [i, { from, to }] of seen.ranges.entries()) {
        expect(to).toBeGreaterThan(from);
        if (i > 0) expect(from).toBeGreaterThan(seen.ranges[i - 1]!.to);
      }
      expect(new SeenRanges(seen.toJSON()).ranges).toEqual(seen.ranges);
    }),
  );
});
