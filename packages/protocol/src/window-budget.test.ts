import fc from "fast-check";
import { expect, test } from "vitest";
import { WindowBudget, type StreamWindow } from "./window-budget.ts";

const options = { totalBytes: 1_000, minBytes: 10, maxBytes: 100 };

test("one stream has the largest window, and has it again when the others are gone", () => {
  const budget = new WindowBudget(options);
  const window = budget.open();
  expect(window.bytes).toBe(100);
  expect(window.consumed(60)).toBe(100);
  const others = Array.from({ length: 50 }, () => budget.open());
  // What was granted stays granted; what is consumed makes room for the others.
  expect(window.bytes).toBe(100);
  expect(window.consumed(90)).toBe(10);
  for (const other of others) other[Symbol.dispose]();
  expect(window.consumed(10)).toBe(100);
  window[Symbol.dispose]();
  window[Symbol.dispose]();
  expect(window.consumed(10)).toBe(0);
  expect(budget.heldBytes).toBe(0);
});

test("however many there are, together they hold what was meant for all, and none stands still", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: "open" } as const) },
    fc.record({
      kind: fc.constant("consume" as const),
      which: fc.nat(),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ kind: fc.constant("close" as const), which: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const budget = new WindowBudget(options);
      const windows: StreamWindow[] = [];
      for (const each of steps) {
        const at = each.kind === "open" ? 0 : each.which % Math.max(1, windows.length);
        const window = windows[at];
        if (each.kind === "open") windows.push(budget.open());
        else if (window === undefined) continue;
        else if (each.kind === "close") windows.splice(at, 1)[0]![Symbol.dispose]();
        else {
          const before = window.bytes;
          const bytes = Math.floor(before * each.share);
          // The sender's credit never shrinks.
          expect(window.consumed(bytes)).toBeGreaterThanOrEqual(before - bytes);
        }
        const sum = windows.reduce((total, { bytes }) => total + bytes, 0);
        expect(budget.heldBytes).toBe(sum);
        expect(sum).toBeLessThanOrEqual(options.totalBytes + windows.length * options.minBytes);
        for (const { bytes } of windows) expect(bytes).toBeGreaterThanOrEqual(options.minBytes);
      }
    }),
  );
});
