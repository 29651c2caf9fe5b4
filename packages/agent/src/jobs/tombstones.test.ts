import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newJobId, type JobId } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Tombstone, Tombstones } from "./tombstones.ts";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "outpost-tombstones-"))));
afterEach(() => rmSync(directory, { recursive: true }));

const minuteMs = 60_000;
const limits = { maxTombstones: 10, tombstoneAgeMs: 1_000 * minuteMs };

function tombstone(job: JobId = newJobId(), at = 0): Tombstone {
  const extent = { written: 1, received: 1 };
  return {
    at,
    cause: "received",
    status: { job, state: "completed", output: { stdout: extent, stderr: extent }, removed: true },
  };
}

describe("tombstones", () => {
  it("are found again, also by the next process, also after a line that was cut", () => {
    const first = new Tombstones(directory, limits);
    const before = tombstone();
    first.add(before);
    first.close();
    appendFileSync(join(directory, "tombstones-newer.ndjson"), '{"at":1,"cau');
    const second = new Tombstones(directory, limits);
    const after = tombstone();
    second.add(after);
    expect(second.find(before.status.job)).toEqual(before);
    expect(second.find(after.status.job)).toEqual(after);
    second.close();
    const third = new Tombstones(directory, limits);
    expect(third.find(before.status.job)).toEqual(before);
    expect(third.find(after.status.job)).toEqual(after);
    expect(third.find(newJobId())).toBeUndefined();
    third.close();
  });

  it("are bounded in number, the newest half always kept", () => {
    const tombstones = new Tombstones(directory, limits);
    const all = Array.from({ length: 103 }, (_, at) => tombstone(newJobId(), at * 10 * minuteMs));
    for (const one of all) tombstones.add(one);
    expect(tombstones.count).toBeLessThanOrEqual(10);
    for (const one of all.slice(-5)) expect(tombstones.find(one.status.job)).toEqual(one);
    expect(tombstones.find(all[0]!.status.job)).toBeUndefined();
    tombstones.close();
  });

  it("are kept as long as a start may be repeated, however many and however short their age", () => {
    const tombstones = new Tombstones(directory, { maxTombstones: 10, tombstoneAgeMs: 0 });
    const first = tombstone(newJobId(), 0);
    tombstones.add(first);
    for (let at = 1; at < 40; at++) tombstones.add(tombstone(newJobId(), at * 0.5 * minuteMs));
    tombstones.expire(20 * minuteMs);
    expect(tombstones.has(first.status.job)).toBe(true);
    for (let at = 0; at < 20; at++) tombstones.add(tombstone(newJobId(), (60 + at * 10) * minuteMs));
    expect(tombstones.has(first.status.job)).toBe(false);
    expect(tombstones.count).toBeLessThanOrEqual(10);
    tombstones.close();
  });

  it("are not kept without end when there are too many at once", () => {
    const tombstones = new Tombstones(directory, limits);
    for (let each = 0; each < 500; each++) tombstones.add(tombstone());
    expect(tombstones.count).toBeLessThanOrEqual(100);
    tombstones.close();
  });

  it("are kept for their time, and not for ever", () => {
    const tombstones = new Tombstones(directory, limits);
    const one = tombstone(newJobId(), 5_000 * minuteMs);
    tombstones.add(one);
    tombstones.expire(5_900 * minuteMs);
    expect(tombstones.has(one.status.job)).toBe(true);
    tombstones.expire(6_100 * minuteMs);
    tombstones.expire(6_200 * minuteMs);
    expect(tombstones.has(one.status.job)).toBe(false);
    tombstones.close();
  });
});
