import { expect, test } from "vitest";
import { commonVersion } from "./version.ts";

test.each([
  [{ min: 1, max: 1 }, { min: 1, max: 1 }, 1],
  [{ min: 1, max: 3 }, { min: 2, max: 5 }, 3],
  [{ min: 2, max: 5 }, { min: 1, max: 3 }, 3],
  [{ min: 1, max: 1 }, { min: 2, max: 2 }, undefined],
  [{ min: 3, max: 4 }, { min: 1, max: 2 }, undefined],
])("%j and %j: %s", (ours, theirs, common) => {
  expect(commonVersion(ours, theirs)).toBe(common);
});
