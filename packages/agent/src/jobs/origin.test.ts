/** Jobs that somebody on the host has started: that, and by whom, is known as long as the job is. */
import { readFileSync } from "node:fs";
import type { JobOrigin, JobStatus } from "@outpost/protocol";
import { expect, test } from "vitest";
import { openStore, request, statusOf, until, untilEnded } from "../testing/job-store.ts";

const origin: JobOrigin = { user: "ada", command: "echo hello", name: "greeting", acceptedAt: 1_000 };
const local = (text: string) => ({ ...request({ kind: "shell", text }, { inlineWaitMs: 0 }), origin });

test("its origin is in every status, and outlives restarts: while it runs, when it has ended, when it is removed", async () => {
  await using store = await openStore();
  const { status } = await store.jobs.start(local("echo hello; exec sleep 600"));
  expect(status).toMatchObject({ state: "running", origin });
  let jobs = await store.reopen();
  expect(statusOf(jobs, status.job)).toMatchObject({ state: "running", origin });
  await jobs.stop({ job: status.job, operator: "ada", graceMs: 0 });
  expect(await untilEnded(jobs, status.job)).toMatchObject({ state: "stopped", origin });
  jobs = await store.reopen();
  expect(statusOf(jobs, status.job)).toMatchObject({ state: "stopped", origin });
  expect(jobs.list()).toMatchObject([{ job: status.job, origin }]);
  await jobs.remove(status.job);
  jobs = await store.reopen();
  expect(statusOf(jobs, status.job)).toMatchObject({ removed: true, origin });
});

test("one that could not be started keeps it, too", async () => {
  await using store = await openStore();
  const params = { ...request({ kind: "exec", argv: ["no-such-program"] }), origin };
  const { status } = await store.jobs.start(params);
  expect(status).toMatchObject({ state: "failed", reason: { code: "start_failed" }, origin });
  const jobs = await store.reopen();
  expect(statusOf(jobs, status.job)).toMatchObject({ state: "failed", origin });
});

test("one that ended while no agent ran is settled with it", async () => {
  await using store = await openStore();
  const { status } = await store.jobs.start(local("exit 3"));
  const { pid } = JSON.parse(readFileSync(store.path(status.job, "process.json"), "utf8")) as { pid: number };
  await store.jobs[Symbol.asyncDispose]();
  await until(
    () => readFileSync(store.path(status.job, "exit"), "utf8").startsWith("exit 3\n"),
    `exit of ${String(pid)}`,
  );
  const jobs = await store.reopen();
  expect(await untilEnded(jobs, status.job)).toMatchObject({ state: "failed", exit: { code: 3 }, origin });
});

test("when it was wholly received it is told that it is gone; of an operator's job whoever received it knows", async () => {
  await using store = await openStore();
  const changes: JobStatus[] = [];
  store.jobs.onChanged((status) => void changes.push(status));
  const mine = await store.jobs.start({ ...local("echo hello"), inlineWaitMs: 10_000 });
  const operators = await store.jobs.start(request({ kind: "shell", text: "echo hello" }));
  expect(operators.status.origin).toBeUndefined();
  changes.length = 0;
  for (const { status } of [mine, operators]) {
    await store.jobs.acknowledge({ job: status.job, received: { stdout: 6, stderr: 0 } });
  }
  expect(changes).toMatchObject([{ job: mine.status.job, removed: true, origin }]);
  expect(store.jobs.list()).toEqual([]);
});
