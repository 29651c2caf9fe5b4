import { expect, test } from "vitest";
import { compareVersions } from "./compare-versions.ts";

test.each([
  ["0.2.0", "0.2.0", 0],
  ["0.9.0", "0.10.0", -1],
  ["1.0.0", "0.99.99", 1],
  ["0.3.0-beta.1", "0.3.0", -1],
  ["0.3.0", "0.3.0-beta.1", 1],
  ["0.2", "0.2.0", 0],
  ["unknown", "0.2.0", 0],
])("%s and %s: %i", (one, other, order) => {
  expect(Math.sign(compareVersions(one, other))).toBe(order);
});
