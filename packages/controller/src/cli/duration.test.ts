import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ageText, durationText, parseDuration } from "./duration.ts";

describe("parsing", () => {
  test.each([
    ["300ms", 300],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["2d", 172_800_000],
    ["1.5s", 1_500],
    ["0s", 0],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "5", "s", "-1s", "1 s", "5min", "1h30m", "1e3s", "∞s", "9".repeat(40) + "d"])(
    "%j is none",
    (text) => expect(() => parseDuration(text)).toThrow("is not a duration"),
  );

  test("whatever is parsed is a whole number of milliseconds", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{1,6}(\.\d{1,4})?(ms|s|m|h|d)$/), (text) =>
        Number.isSafeInteger(parseDuration(text)),
      ),
    );
  });
});

test.each([
  [0, "0 ms"],
  [850, "850 ms"],
  [12_300, "12 s"],
  [60_000, "1 min"],
  [200_000, "3 min 20 s"],
  [7_500_000, "2 h 5 min"],
  [273_600_000, "3 d 4 h"],
  [-5, "0 ms"],
])("%d ms reads %s", (ms, text) => expect(durationText(ms)).toBe(text));

test.each([
  [0, "now"],
  [12_000, "12 s ago"],
  [180_000, "3 min ago"],
  [7_200_000, "2 h ago"],
  [432_000_000, "5 d ago"],
  // The controller's clock may be ahead of ours.
  [-3_000, "now"],
])("%d ms is %s", (ms, text) => expect(ageText(1e12 - ms, 1e12)).toBe(text));
