import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { background, openStore, readJob, shell, statusOf, until, untilEnded } from "../testing/job-store.ts";
import { planEviction } from "./eviction.ts";

const megabyte = 1_000_000;

describe("who makes room", () => {
  const ended = fc.array(fc.record({ settledAt: fc.nat(), diskBytes: fc.nat(1000) }), { maxLength: 30 });

  it("is the oldest, as many as are needed and not one more", () => {
    fc.assert(
      fc.property(
        ended,
        fc.integer({ min: -10, max: 5000 }),
        fc.integer({ min: -5, max: 20 }),
        (jobs, bytes, count) => {
          const plan = planEviction(jobs, { bytes, count });
          const sum = (list: typeof jobs): number =>
            list.reduce((total, { diskBytes }) => total + diskBytes, 0);
          expect(plan.length === jobs.length || (sum(plan) >= bytes && plan.length >= count)).toBe(true);
          const shorter = plan.slice(0, -1);
          if (plan.length > 0) expect(sum(shorter) >= bytes && shorter.length >= count).toBe(false);
          const newestGone = Math.max(-1, ...plan.map(({ settledAt }) => settledAt));
          for (const job of jobs)
            if (!plan.includes(job)) expect(job.settledAt).toBeGreaterThanOrEqual(newestGone);
        },
      ),
    );
  });
});

describe("the quota of all jobs", () => {
  it("evicts the oldest ended job; its reader is told what is gone", async () => {
    await using store = await openStore({ settings: { maxTotalBytes: 2.5 * megabyte } });
    const gone: string[] = [];
    store.jobs.onChanged(({ job, removed }) => void (removed === true && gone.push(job)));
    const jobs: string[] = [];
    for (let i = 0; i < 3; i++) jobs.push((await shell(store.jobs, "head -c 1000000 /dev/zero")).status.job);
    const last = await shell(store.jobs, "true");
    expect(last.status.state).toBe("completed");
    expect(gone).toEqual([jobs[0]]);
    const [evicted] = jobs as [typeof last.status.job];
    expect(existsSync(store.path(evicted))).toBe(false);
    expect(statusOf(store.jobs, evicted)).toMatchObject({ state: "completed", removed: true });
    const reading = readJob(store.jobs, evicted);
    await reading.result;
    expect(reading.events).toEqual([
      { type: "gap", name: "stdout", gap: { from: 0, to: megabyte, reason: "evicted" } },
    ]);
    expect(statusOf(store.jobs, jobs[1] as typeof evicted).removed).toBeUndefined();
  });

  it("stops the running job that writes most when nothing else helps", async () => {
    await using store = await openStore({ settings: { maxTotalBytes: 20 * megabyte } });
    const quiet = await background(store.jobs, "sleep 60");
    const loud = await background(store.jobs, "yes");
    expect(await untilEnded(store.jobs, loud)).toMatchObject({
      state: "failed",
      reason: { code: "disk_full" },
    });
    expect(statusOf(store.jobs, quiet).state).toBe("running");
  });

  it("refuses starts while it is exceeded", async () => {
    await using store = await openStore({ settings: { maxTotalBytes: 100_000 } });
    const job = await background(
      store.jobs,
      "head -c 200000 /dev/zero; trap '' TERM; echo; while :; do sleep 0.1; done",
    );
    await until(() => statusOf(store.jobs, job).output.stdout.written > 200_000);
    await expect(shell(store.jobs, "true")).rejects.toMatchObject({ code: "disk_full" });
    await store.jobs.stop({ job, operator: "ada", graceMs: 0 });
  });
});

describe("free space", () => {
  it("that MUST stay free is not given to jobs", async () => {
    await using store = await openStore({ settings: { minFreeBytes: 2 ** 60 } });
    await expect(shell(store.jobs, "true")).rejects.toMatchObject({ code: "disk_full" });
    expect(store.jobs.list()).toEqual([]);
  });
});

describe("ended jobs", () => {
  it("are at most so many", async () => {
    await using store = await openStore({ settings: { maxEndedJobs: 3 } });
    for (let i = 0; i < 6; i++) await shell(store.jobs, "true");
    const jobs = await store.reopen();
    expect(jobs.list().length).toBeLessThanOrEqual(3);
  });

  it("go when they are too old", async () => {
    await using store = await openStore({ settings: { maxJobAgeMs: 50 } });
    const { status } = await shell(store.jobs, "echo x");
    await new Promise((resolve) => setTimeout(resolve, 80));
    const jobs = await store.reopen();
    expect(jobs.list()).toEqual([]);
    expect(statusOf(jobs, status.job)).toMatchObject({ state: "completed", removed: true });
  });
});

const small = mkdtempSync(join(tmpdir(), "outpost-small-"));
const mounted = spawnSync("/bin/mount", ["-t", "tmpfs", "-o", "size=2m", "outpost-test", small]).status === 0;

describe("a disk that is really full", () => {
  if (!mounted) rmSync(small, { recursive: true });

  it.skipIf(!mounted)(
    "(needs mount: a small tmpfs) is reported, loses no exit record, and heals",
    async () => {
      try {
        await using store = await openStore({
          directory: join(small, "jobs"),
          settings: { minFreeBytes: 100_000 },
        });
        const { status } = await shell(store.jobs, "head -c 10000000 /dev/zero");
        expect(status).toMatchObject({ state: "failed", reason: { code: "disk_full" } });
        expect(status.output.stdout.written).toBeGreaterThan(megabyte);
        // The next one gets the room of the ended one.
        const next = await shell(store.jobs, "echo fine");
        expect(next.status.state).toBe("completed");
        expect(statusOf(store.jobs, status.job)).toMatchObject({ removed: true });
      } finally {
        spawnSync("/bin/umount", [small]);
        rmSync(small, { recursive: true, force: true });
      }
    },
  );
});
