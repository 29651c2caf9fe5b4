import { expect, test } from "vitest";
import { Pace } from "./pace.ts";

test("so many within the time for each, and then again", () => {
  let now = 0;
  const pace = new Pace({ most: 2, withinMs: 100, clock: { monotonicMs: () => now } });
  const [one, other] = [{}, {}];
  expect([pace.take(one), pace.take(one), pace.take(one), pace.take(other)]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  now = 99;
  expect(pace.take(one)).toBe(false);
  now = 100;
  expect(pace.take(one)).toBe(true);
});
