import { expect, test } from "vitest";
import { ageText, parseDuration } from "./duration.ts";

test.each([
  ["300ms", 300],
  ["1.5s", 1_500],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
])("%s", (text, ms) => {
  expect(parseDuration("timeout", text)).toBe(ms);
});

test.each(["", "5", "s", "-1s", "1 s", "1e3s", "9999999999999999d"])("%j is none", (text) => {
  expect(() => parseDuration("grace", text)).toThrow(/^--grace: ".*" is not a duration/);
});

test("ages", () => {
  const now = 10 * 86_400_000;
  const ages = [0, 12_000, 200_000, 7_300_000, 5 * 86_400_000].map((ms) => ageText(now - ms, now));
  expect(ages).toEqual(["now", "12 s ago", "3 min ago", "2 h ago", "5 d ago"]);
});
