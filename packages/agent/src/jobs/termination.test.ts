import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  background,
  isAlive,
  openStore,
  shell,
  statusOf,
  until,
  untilEnded,
  type Store,
} from "../testing/job-store.ts";
import type { JobId } from "@outpost/protocol";

function lines(store: Store, job: JobId): string[] {
  return readFileSync(store.path(job, "stdout"), "utf8").split("\n").filter(Boolean);
}

async function pids(store: Store, job: JobId, count: number): Promise<number[]> {
  await until(() => lines(store, job).length >= count, `${String(count)} pids`);
  return lines(store, job).map(Number);
}

describe("stopping", () => {
  it("ends the whole tree, a grandchild in a session of its own included", async () => {
    await using store = await openStore();
    const job = await background(
      store.jobs,
      "echo $$; sleep 60 & echo $!; setsid sh -c 'echo $$; exec >/dev/null 2>&1; exec sleep 60' & wait",
    );
    const members = await pids(store, job, 3);
    const during = await store.jobs.stop({ job, operator: "grace" });
    expect(during.state).toBe("running");
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "stopped",
      exit: { signal: "SIGTERM" },
      reason: { code: "stopped", by: "grace", message: "stopped by grace" },
    });
    for (const pid of members) expect(isAlive(pid)).toBe(false);
  });

  it("waits for the grace, then kills who does not listen; the record is still written", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "trap '' TERM; echo $$; while :; do sleep 0.05; done");
    const [pid] = await pids(store, job, 1);
    const before = Date.now();
    await store.jobs.stop({ job, operator: "ada", graceMs: 250 });
    const status = await untilEnded(store.jobs, job);
    expect(Date.now() - before).toBeGreaterThanOrEqual(240);
    expect(status).toMatchObject({ state: "stopped", exit: { signal: "SIGKILL" } });
    expect(isAlive(pid!)).toBe(false);
  });

  it("lets a job clean up and choose its exit code", async () => {
    await using store = await openStore();
    const job = await background(
      store.jobs,
      "trap 'echo 0; exit 12' TERM; echo 1; while :; do sleep 0.02; done",
    );
    await pids(store, job, 1);
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", exit: { code: 12 } });
    expect(lines(store, job)).toEqual(["1", "0"]);
  });

  it("signals each process once", async () => {
    await using store = await openStore();
    const job = await background(
      store.jobs,
      "trap 'echo 9' TERM; echo 1; n=0; while [ $n -lt 30 ]; do sleep 0.02; n=$((n+1)); done",
    );
    await pids(store, job, 1);
    await store.jobs.stop({ job, operator: "ada", graceMs: 5_000 });
    await store.jobs.stop({ job, operator: "bob" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", reason: { by: "ada" } });
    expect(lines(store, job)).toEqual(["1", "9"]);
  });

  it("a second time, with less grace, is faster; the first one stays the reason", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "trap '' TERM; echo 1; while :; do sleep 0.02; done");
    await pids(store, job, 1);
    await store.jobs.stop({ job, operator: "ada", graceMs: 60_000 });
    await store.jobs.stop({ job, operator: "bob", graceMs: 50 });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", reason: { by: "ada" } });
  });

  it("also ends a stopped process (SIGSTOP)", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "echo $$; exec sleep 60");
    const [pid] = await pids(store, job, 1);
    process.kill(pid!, "SIGSTOP");
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "stopped",
      exit: { signal: "SIGTERM" },
    });
  });

  it("of a job that was started this moment leaves a record too", async () => {
    await using store = await openStore();
    for (let i = 0; i < 10; i++) {
      const starting = shell(store.jobs, "sleep 60");
      const [pending] = store.jobs.list().filter(({ state }) => state === "pending" || state === "running");
      await store.jobs.stop({ job: pending!.job, operator: "ada" });
      expect((await starting).status).toMatchObject({ state: "stopped", reason: { by: "ada" } });
    }
  });

  it("ends what holds the output after the main process", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "sleep 60 & echo $!; exit 0");
    await until(() => statusOf(store.jobs, job).exit !== undefined);
    const [pid] = await pids(store, job, 1);
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", exit: { code: 0 } });
    expect(isAlive(pid!)).toBe(false);
  });

  it("of an ended job changes nothing", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "exit 3");
    expect(await store.jobs.stop({ job: status.job, operator: "ada" })).toEqual(status);
  });

  it("leaves other jobs alone", async () => {
    await using store = await openStore();
    const other = await background(store.jobs, "sleep 60");
    const job = await background(store.jobs, "sleep 60");
    await store.jobs.stop({ job, operator: "ada", graceMs: 0 });
    await untilEnded(store.jobs, job);
    expect(statusOf(store.jobs, other).state).toBe("running");
  });
});

describe("a timeout", () => {
  it("ends the job as timed out", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo before; sleep 60", { timeoutMs: 150 });
    expect(status).toMatchObject({
      state: "failed",
      reason: { code: "timed_out" },
      exit: { signal: "SIGTERM" },
    });
    expect(status.output.stdout.written).toBe(7);
  });

  it("does not touch a job that ends in time", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "true", { timeoutMs: 5_000 });
    expect(status).toMatchObject({ state: "completed" });
  });

  it("kills after the grace of the request", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "trap '' TERM; while :; do sleep 0.02; done", {
      timeoutMs: 100,
      graceMs: 100,
    });
    expect(status).toMatchObject({
      state: "failed",
      reason: { code: "timed_out" },
      exit: { signal: "SIGKILL" },
    });
  });
});
