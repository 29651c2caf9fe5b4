/** What is said of a roll-out while it goes on, and at a glance. */
import { newJobId, type RolloutInfo } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { rolloutNotice, rolloutText } from "./rollout-notices.ts";

const check = newJobId();
const base: RolloutInfo = {
  state: "running",
  stage: 2,
  stages: 5,
  begun: 37,
  waiting: 163,
  failures: 3,
  maxFailures: 10,
};
const now = 1_000_000;
const up = { title: "up", hosts: 200 };

describe("a line for a change", () => {
  const first: RolloutInfo = { ...base, stage: 1, begun: 1, failures: 0 };
  test.each<[string, RolloutInfo, RolloutInfo | undefined, string | undefined]>([
    ["the first stage", first, undefined, "stage 1 of 5 begins"],
    ["the next one", base, first, "stage 2 of 5 begins; 3 failed so far"],
    ["nothing new", base, base, undefined],
    ["only one stage", { ...base, stage: 1, stages: 1 }, undefined, undefined],
    [
      "the check",
      { ...base, state: "waiting", reason: "check", check },
      base,
      `stage 2 of 5 has ended and is being checked (see outpost job receive ${check} --keep)`,
    ],
    [
      "the pause",
      { ...base, state: "waiting", reason: "pause", until: now + 30_000 },
      base,
      "stage 2 of 5 has ended; the next one begins in 30 s",
    ],
    [
      "a question",
      { ...base, state: "paused", reason: "confirm" },
      base,
      "stage 2 of 5 has ended (37 of 200 hosts, 3 failed) and waits to be confirmed; to go on: outpost job resume up",
    ],
    [
      "somebody's pause",
      { ...base, state: "paused", reason: "operator", by: "ada" },
      base,
      "paused by ada in stage 2 of 5; to go on: outpost job resume up",
    ],
    [
      "its end",
      base,
      { ...base, state: "paused", reason: "operator", by: "ada" },
      "goes on with stage 2 of 5",
    ],
    [
      "too many failures",
      { ...base, state: "stopped", reason: "max_failures", failures: 11, check },
      base,
      "the roll-out was stopped: 11 hosts have failed, and only 10 may",
    ],
    [
      "a stop",
      { ...base, state: "stopped", reason: "operator", by: "ada" },
      base,
      "the roll-out was stopped by ada",
    ],
    ["the end", { ...base, state: "done" }, base, undefined],
  ])("%s", (_, rollout, before, expected) => {
    expect(rolloutNotice(rollout, before, up, now)).toBe(expected);
  });
});

test.each<[Partial<RolloutInfo>, string]>([
  [{}, "stage 2 of 5, 37 of 200 hosts begun, 3 failed (of 10 allowed)"],
  [
    { state: "paused", reason: "operator", by: "ada" },
    "stage 2 of 5, 37 of 200 hosts begun, 3 failed (of 10 allowed); paused by ada: outpost job resume up",
  ],
  [
    { state: "paused", reason: "confirm" },
    "stage 2 of 5, 37 of 200 hosts begun, 3 failed (of 10 allowed); waits to be confirmed: outpost job resume up",
  ],
  [
    { state: "waiting", reason: "check" },
    "stage 2 of 5, 37 of 200 hosts begun, 3 failed (of 10 allowed), being checked",
  ],
  [
    { state: "done", stage: 5, begun: 200, waiting: 0 },
    "done, 200 of 200 hosts begun, 3 failed (of 10 allowed)",
  ],
])("at a glance: %j", (more, expected) => {
  expect(rolloutText({ ...base, ...more }, up, now)).toBe(expected);
});
