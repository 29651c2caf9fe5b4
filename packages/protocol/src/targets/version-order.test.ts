import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compareVersions } from "./version-order.ts";

test("versions in their order", () => {
  const sorted = [
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta",
    "1.0.0-rc.1",
    "1.0.0-rc.2",
    "1.0",
    "1.0-custom",
    "1.0.1",
    "1.4",
    "1.10",
    "2.0.0~rc1",
    "2.0.0",
    "2.0.0-1",
    "6.1.0-18-amd64",
    "6.1.0-20-amd64",
    "6.1.1",
    "6.2",
    "20240101",
  ];
  expect(sorted.toReversed().sort(compareVersions)).toEqual(sorted);
});

test.each([
  ["1.4", "1.4.0"],
  ["v1.4", "1.4"],
  ["1.4.0-rc.1", "1.4-rc1"],
  ["1.04", "1.4"],
  ["", "0"],
])("%j and %j are one version", (one, other) => {
  expect(compareVersions(one, other)).toBe(0);
});

test("the order is one, whatever is compared", () => {
  const version = fc.string({
    unit: fc.constantFrom("0", "1", "2", "10", ".", "-", "rc", "x", "+"),
    maxLength: 6,
  });
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }
    }),
    { numRuns: 5_000 },
  );
});
