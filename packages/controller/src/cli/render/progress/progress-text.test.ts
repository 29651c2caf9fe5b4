import type { RolloutInfo } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { names, syntheticEvents, syntheticJobId, type SyntheticAnswer } from "../testing/synthetic.ts";
import { isUnicode, progressText } from "./progress-text.ts";
import { Progress } from "./progress.ts";

/** So many hosts, ten a second. */
function progress(
  hosts: number,
  end: (at: number) => SyntheticAnswer["end"],
  rollout?: RolloutInfo,
): Progress {
  let now = 0;
  const counted = new Progress(() => now);
  const answer = (_host: string, at: number): SyntheticAnswer => ({ end: end(at) ?? 0 });
  for (const event of syntheticEvents({ seed: 1, hosts: names("web", hosts), answer })) {
    if (event.type === "exit") now += 100;
    counted.note(event);
  }
  if (rollout !== undefined) counted.note({ type: "rollout", job: syntheticJobId, rollout });
  return counted;
}

const plain = { color: false, unicode: true };
const mixed = progress(60, (at) => (at < 30 ? 0 : at < 34 ? 3 : at < 36 ? "unreachable" : "running"));
const paused: RolloutInfo = {
  state: "paused",
  reason: "confirm",
  stage: 2,
  stages: 5,
  begun: 40,
  waiting: 20,
  failures: 4,
};

describe("the line", () => {
  test.each([
    [
      120,
      "outpost  ━━━━━━━━━━━━━━──────────  36/60  ok 30  failed 4  unreachable 2  running 24  10/s  ETA 3s",
    ],
    [70, "36/60  ok 30  failed 4  unreachable 2  running 24  10/s  ETA 3s"],
    [40, "36/60  failed 4  unreachable 2"],
    [16, "36/60  failed 4"],
    [5, "36/60"],
    [4, ""],
  ])("in %i columns", (columns, text) => expect(progressText(mixed, { columns, ...plain })).toBe(text));

  test("in ASCII, and in colour", () => {
    expect(progressText(mixed, { columns: 120, color: false, unicode: false })).toContain(
      "[#############.........]",
    );
    expect(progressText(mixed, { columns: 120, color: true, unicode: true })).toContain(
      "\u001b[31mfailed 4\u001b[0m",
    );
  });

  test("of a roll-out says where it is and what it waits for", () => {
    const rolling = progress(60, (at) => (at < 40 ? 0 : "silent"), paused);
    expect(progressText(rolling, { columns: 200, ...plain })).toContain(
      "stage 2/5  paused: confirm  to come 20  ok 40",
    );
    const begun = progress(60, (at) => (at < 40 ? 0 : at < 50 ? "running" : "silent"), paused);
    expect(progressText(begun, { columns: 200, ...plain })).toContain("to come 10  ok 40  running 10");
    const stopped: RolloutInfo = { ...paused, state: "stopped", reason: "operator", by: "ada\u001b[2J" };
    const text = progressText(
      progress(60, () => "silent", stopped),
      { columns: 200, ...plain },
    );
    expect(text).toContain("stopped: by ada�[2J");
  });

  test("is never wider than there is room", () => {
    const end = fc.constantFrom(
      0 as const,
      3,
      "timed out" as const,
      "unreachable" as const,
      "running" as const,
    );
    const ends = fc.array(end, { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(ends, fc.nat(250), fc.boolean(), fc.boolean(), (all, columns, unicode, isRollout) => {
        const counted = progress(all.length, (at) => all[at], isRollout ? paused : undefined);
        expect(progressText(counted, { columns, color: false, unicode }).length).toBeLessThanOrEqual(columns);
      }),
    );
  });
});

test("the rate is that of the last seconds", () => {
  let now = 0;
  const counted = new Progress(() => now);
  const [plan, ...events] = syntheticEvents({ seed: 1, hosts: names("web", 100), answer: () => ({}) });
  counted.note(plan!);
  const exits = events.filter(({ type }) => type === "exit");
  for (const exit of exits.slice(0, 50)) {
    now += 20;
    counted.note(exit);
  }
  expect(counted.perSecond).toBeGreaterThan(45);
  expect(counted.leftMs).toBeLessThan(1_200);
  now += 60_000;
  expect(counted.perSecond).toBe(0);
  expect(counted.leftMs).toBeUndefined();
});

test.each([
  [{ LANG: "en_GB.UTF-8" }, true],
  [{ LANG: "C" }, false],
  [{ LANG: "C.utf8", LC_ALL: "" }, true],
  [{ LANG: "C.UTF-8", LC_ALL: "C" }, false],
  [{}, false],
])("whether %j is UTF-8: %s", (env, expected) => expect(isUnicode(env)).toBe(expected));
