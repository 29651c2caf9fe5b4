import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newJobId, type JobId } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Tombstone, Tombstones } from "./tombstones.ts";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "outpost-tombstones-"))));
afterEach(() => rmSync(directory, { recursive: true }));

const limits = { maxTombstones: 10, tombstoneAgeMs: 1_000 };

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
    const all = Array.from({ length: 103 }, () => tombstone());
    for (const one of all) tombstones.add(one);
    expect(tombstones.count).toBeLessThanOrEqual(10);
    for (const one of all.slice(-5)) expect(tombstones.find(one.status.job)).toEqual(one);
    expect(tombstones.find(all[0]!.status.job)).toBeUndefined();
    tombstones.close();
  });

  it("are kept for their time, and not for ever", () => {
    const tombstones = new Tombstones(directory, limits);
    const one = tombstone(newJobId(), 5_000);
    tombstones.add(one);
    tombstones.expire(5_900);
    expect(tombstones.has(one.status.job)).toBe(true);
    tombstones.expire(6_100);
    tombstones.expire(6_200);
    expect(tombstones.has(one.status.job)).toBe(false);
    tombstones.close();
  });
});
