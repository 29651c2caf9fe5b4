import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("the first wait after a cut is at most half a second", () => {
  fc.assert(fc.property(unit, (random) => new Backoff(() => random).next() <= 500));
});

test("every wait lies in its window, which doubles up to 30 s", () => {
  fc.assert(
    fc.property(unit, fc.integer({ min: 0, max: 2_000 }), (random, failures) => {
      const backoff = new Backoff(() => random);
      for (let i = 0; i < failures; i++) backoff.next();
      expect(backoff.next()).toBe(random * Math.min(30_000, 500 * 2 ** failures));
    }),
  );
});

test("the controller's retryAfter is never undercut, and never banishes us for more than 15 minutes", () => {
  fc.assert(
    fc.property(unit, fc.double({ min: 0, noNaN: true }), fc.nat(20), (random, retryAfterMs, failures) => {
      const backoff = new Backoff(() => random);
      for (let i = 0; i < failures; i++) backoff.next();
      const waitMs = backoff.next(retryAfterMs);
      expect(waitMs).toBeGreaterThanOrEqual(Math.min(retryAfterMs, 10 * 60_000));
      expect(waitMs).toBeLessThanOrEqual(15 * 60_000);
    }),
  );
});

test("after a reset it begins again with the first window", () => {
  const backoff = new Backoff(() => 0.5);
  for (let i = 0; i < 10; i++) backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(250);
});

test("a refusal is tried again slowly, however young it is", () => {
  fc.assert(
    fc.property(unit, (random) => {
      const waitMs = new Backoff(() => random).afterRefusal();
      expect(waitMs).toBeGreaterThanOrEqual(54_000);
      expect(waitMs).toBeLessThanOrEqual(66_000);
    }),
  );
});
