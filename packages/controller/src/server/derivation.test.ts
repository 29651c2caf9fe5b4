/** The pure rules: a fan-out job's state, combining reports, what to do after an inventory. */
import { type JobState, type JobStatus, newJobId } from "@outpost/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deriveState } from "./fan-out-state.ts";
import { isEnded, mergeStatus } from "./job-status.ts";
import { type KnownJob, reconcile } from "./reconcile.ts";

const states = ["pending", "running", "completed", "failed", "stopped", "lost"] as const satisfies JobState[];
const id = newJobId();
const status = (state: JobState, more: Partial<JobStatus> = {}): JobStatus => ({
  job: id,
  state,
  output: { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } },
  ...more,
});

describe("a fan-out job's state", () => {
  const job = fc.record({ state: fc.constantFrom(...states), isReachable: fc.boolean() });

  test("is unfinished exactly while one of its jobs is, and completed only if all are", () => {
    fc.assert(
      fc.property(fc.array(job, { minLength: 1 }), (jobs) => {
        const derived = deriveState(jobs);
        const unfinished = jobs.filter(({ state }) => state === "pending" || state === "running");
        expect(["pending", "running", "disconnected"].includes(derived)).toBe(unfinished.length > 0);
        expect(derived === "completed").toBe(jobs.every(({ state }) => state === "completed"));
        if (unfinished.length > 0) {
          expect(derived === "disconnected").toBe(!unfinished.some(({ isReachable }) => isReachable));
        }
      }),
    );
  });

  test("does not depend on the order of its jobs", () => {
    fc.assert(
      fc.property(fc.array(job, { minLength: 1 }), (jobs) => {
        expect(deriveState([...jobs].reverse())).toBe(deriveState(jobs));
      }),
    );
  });

  test.each([
    [["completed", "failed", "lost"], "lost"],
    [["completed", "failed", "stopped"], "failed"],
    [["completed", "stopped"], "stopped"],
    [["completed", "running"], "running"],
    [["running", "pending"], "pending"],
  ] as const)("%j is %s", (jobs, expected) => {
    expect(deriveState(jobs.map((state) => ({ state, isReachable: true })))).toBe(expected);
  });
});

describe("reports about one job", () => {
  const extent = fc.record({ written: fc.nat(), received: fc.nat() });
  const report = fc
    .record({ state: fc.constantFrom(...states), stdout: extent, stderr: extent })
    .map(({ state, stdout, stderr }) => status(state, { output: { stdout, stderr } }));
  const ranks: Record<JobState, number> = {
    pending: 0,
    running: 1,
    completed: 2,
    failed: 2,
    stopped: 2,
    lost: 2,
  };

  test("in any order: the state never goes back, an end is final, extents only grow", () => {
    fc.assert(
      fc.property(fc.array(report, { minLength: 1 }), (reports) => {
        let known = status("pending");
        for (const one of reports) {
          const next = mergeStatus(known, one);
          expect(ranks[next.state]).toBeGreaterThanOrEqual(ranks[known.state]);
          if (isEnded(known)) expect(next.state).toBe(known.state);
          expect(next.output.stdout.written).toBeGreaterThanOrEqual(known.output.stdout.written);
          expect(next.output.stderr.received).toBeGreaterThanOrEqual(known.output.stderr.received);
          known = next;
        }
      }),
    );
  });

  test("the host's word is better than our conclusion that it forgot", () => {
    const lost = status("lost", { reason: { code: "forgotten", message: "…" } });
    expect(mergeStatus(lost, status("running")).state).toBe("lost");
    expect(mergeStatus(lost, status("completed", { exit: { code: 0 } }))).toMatchObject({
      state: "completed",
      exit: { code: 0 },
    });
  });
});

describe("reconciliation", () => {
  const known = (state: JobState, more: Partial<KnownJob> = {}): KnownJob => ({
    status: status(state),
    isRemoved: false,
    isStopWaiting: false,
    safe: { stdout: 0, stderr: 0 },
    expiresAt: 100,
    ...more,
  });
  const there = (state: JobState, received = 0): JobStatus =>
    status(state, { output: { stdout: { written: 9, received }, stderr: { written: 0, received: 0 } } });

  test.each([
    ["unknown here", undefined, there("running"), { kind: "leave" }],
    ["removed here, there", known("completed", { isRemoved: true }), there("completed"), { kind: "remove" }],
    ["removed here, gone there", known("completed", { isRemoved: true }), undefined, { kind: "removed" }],
    [
      "pending, there",
      known("pending"),
      there("running"),
      { kind: "report", acknowledge: false, stop: false },
    ],
    ["pending, not there", known("pending"), undefined, { kind: "start" }],
    [
      "pending, not there, late",
      known("pending", { expiresAt: 10 }),
      undefined,
      { kind: "settle", as: "expired" },
    ],
    [
      "pending, not there, to be stopped",
      known("pending", { isStopWaiting: true }),
      undefined,
      { kind: "settle", as: "stopped" },
    ],
    [
      "running, there",
      known("running"),
      there("running"),
      { kind: "report", acknowledge: false, stop: false },
    ],
    ["running, not there", known("running"), undefined, { kind: "settle", as: "forgotten" }],
    [
      "running, to be stopped",
      known("running", { isStopWaiting: true }),
      there("running"),
      { kind: "report", acknowledge: false, stop: true },
    ],
    [
      "running, to be stopped, ended",
      known("running", { isStopWaiting: true }),
      there("completed"),
      { kind: "report", acknowledge: false, stop: false },
    ],
    [
      "received further here",
      known("completed", { safe: { stdout: 9, stderr: 0 } }),
      there("completed", 4),
      { kind: "report", acknowledge: true, stop: false },
    ],
    [
      "received as far there",
      known("completed", { safe: { stdout: 9, stderr: 0 } }),
      there("completed", 9),
      { kind: "report", acknowledge: false, stop: false },
    ],
    ["ended, not there", known("completed"), undefined, { kind: "gone" }],
  ] as const)("%s", (_, job, reported, verdict) => {
    expect(reconcile(job, reported, 50)).toEqual(verdict);
  });
});
