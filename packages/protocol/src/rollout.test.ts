import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Share } from "./messages/rollout.ts";
import { concurrencyOf, failureLimitOf, orderOf, shareOf, stagesOf } from "./rollout.ts";

const share: fc.Arbitrary<Share> = fc.oneof(
  fc.record({ hosts: fc.nat(200) }),
  fc.record({ percent: fc.double({ min: 0, max: 100, noNaN: true }) }),
);
const maybe = fc.option(share, { nil: undefined });

describe("a share", () => {
  test.each([
    [{ percent: 7 }, 100, 7],
    [{ percent: 0.1 }, 3000, 3],
    [{ percent: 10 }, 5, 1],
    [{ percent: 34 }, 3, 2],
    [{ percent: 0 }, 50, 0],
    [{ percent: 100 }, 7, 7],
    [{ hosts: 3 }, 2, 3],
  ])("%j of %i is %i", (of, total, expected) => {
    expect(shareOf(of, total)).toBe(expected);
  });
});

describe("stages", () => {
  test.each([
    [10, {}, [10]],
    [10, { canary: { hosts: 1 } }, [1, 9]],
    [10, { canary: { hosts: 1 }, batch: { percent: 50 } }, [1, 5, 4]],
    [10, { batch: { hosts: 4 } }, [4, 4, 2]],
    [3, { canary: { hosts: 5 }, batch: { hosts: 1 } }, [3]],
    [3, { canary: { hosts: 0 }, batch: { percent: 0 } }, [1, 1, 1]],
    [0, { canary: { hosts: 1 } }, []],
  ])("of %i hosts with %j are %j", (total, rollout, expected) => {
    expect(stagesOf(total, rollout)).toEqual(expected);
  });

  test("hold every host once, and none is empty", () => {
    fc.assert(
      fc.property(fc.nat(500), maybe, maybe, (total, canary, batch) => {
        const stages = stagesOf(total, { canary, batch });
        expect(stages.reduce((sum, size) => sum + size, 0)).toBe(total);
        expect(stages.every((size) => size > 0)).toBe(true);
      }),
    );
  });
});

test("at least one host may run at a time, and never more than there are", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), maybe, (total, concurrency) => {
      const window = concurrencyOf(total, { concurrency });
      expect(window).toBeGreaterThanOrEqual(1);
      expect(window).toBeLessThanOrEqual(total);
    }),
  );
});

test.each([
  [{}, false, undefined],
  [{}, true, 0],
  [{ canary: { hosts: 1 } }, false, 0],
  [{ canary: { hosts: 1 }, maxFailures: { percent: 10 } }, true, 2],
  [{ maxFailures: { hosts: 0 } }, false, 0],
])("of 20 hosts with %j, check %j, %j may fail", (rollout, hasCheck, expected) => {
  expect(failureLimitOf(20, rollout, hasCheck)).toBe(expected);
});

describe("the order", () => {
  test("is by name and number", () => {
    expect(orderOf(["web10", "db1", "web9", "web09"])).toEqual(["db1", "web9", "web09", "web10"]);
  });

  test("at random is the same for the same seed, whatever the order of the names", () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}[0-9]{0,2}$/), { maxLength: 40 });
    const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(names, seeds, (given, seed) => {
        const order = { kind: "random", seed } as const;
        const shuffled = orderOf(given, order);
        expect(orderOf([...given].reverse(), order)).toEqual(shuffled);
        expect([...shuffled].sort()).toEqual([...given].sort());
      }),
    );
  });

  test("at random is this one", () => {
    const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    expect(orderOf(names, { kind: "random", seed: 42 }).join("")).toMatchInlineSnapshot(`"chbagfde"`);
    expect(orderOf(names, { kind: "random", seed: 2 ** 40 + 7 }).join("")).toMatchInlineSnapshot(
      `"fdgabhce"`,
    );
  });
});
