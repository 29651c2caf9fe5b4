import { FakeClock } from "@outpost/protocol/testing";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { SessionStop } from "./session-stop.ts";

let clock: FakeClock;
let told: string[];
beforeEach(() => {
  clock = new FakeClock();
  told = [];
});

function begin(graceMs: number): SessionStop {
  const note = (what: string): void => void told.push(`${String(clock.monotonicMs())} ${what}`);
  const stop = new SessionStop({ clock, graceMs, send: note, gaveUp: () => note("gave up") });
  stop.begin();
  return stop;
}

test("interrupts, terminates, kills, and gives up", async () => {
  const stop = begin(10_000);
  await clock.advance(9_999);
  expect(told).toEqual(["0 SIGINT", "2000 SIGTERM"]);
  expect(stop.signal).toBe("SIGTERM");
  await clock.advance(1);
  expect(stop.signal).toBe("SIGKILL");
  await clock.advance(200);
  expect(told.slice(2)).toEqual(["10000 SIGINT", "10000 SIGKILL", "10200 SIGINT", "10200 SIGKILL"]);
  await clock.advance(60_000);
  expect(told.at(-1)).toBe("15000 gave up");
  expect(clock.pending).toBe(0);
});

test("without a grace it kills at once; the interrupt comes first", () => {
  begin(0);
  expect(told).toEqual(["0 SIGINT", "0 SIGKILL"]);
});

test("a shorter grace makes it faster, a longer one changes nothing", async () => {
  const stop = begin(10_000);
  stop.hasten(20_000);
  await clock.advance(100);
  stop.hasten(400);
  await clock.advance(500);
  expect(told.slice(0, 4)).toEqual(["0 SIGINT", "200 SIGTERM", "500 SIGINT", "500 SIGKILL"]);
  stop.dispose();
});

test("whatever the grace and whenever it is hastened: SIGKILL comes at its time, and nothing after the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(
        fc.record({ at: fc.integer({ min: 0, max: 20_000 }), graceMs: fc.integer({ min: 0, max: 20_000 }) }),
        {
          maxLength: 4,
        },
      ),
      async (graceMs, hastened) => {
        clock = new FakeClock();
        told = [];
        const stop = begin(graceMs);
        let deadlineMs = graceMs;
        for (const { at, graceMs: shorter } of hastened.toSorted((a, b) => a.at - b.at)) {
          await clock.advance(at - clock.monotonicMs());
          if (at < deadlineMs) deadlineMs = Math.min(deadlineMs, at + shorter);
          stop.hasten(shorter);
        }
        await clock.advance(60_000);
        expect(told.find((line) => line.endsWith("SIGKILL"))).toBe(`${String(deadlineMs)} SIGKILL`);
        expect(told.filter((line) => line.endsWith("gave up"))).toHaveLength(1);
        expect(told.filter((line) => line.endsWith("SIGTERM")).length).toBeLessThanOrEqual(1);
        expect(clock.pending).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});
