/** Something else is put in the place of a job's files: it is not followed, read, written or waited for. */
import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, type JobId } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  background,
  openStore,
  readJob,
  shell,
  statusOf,
  type Store,
  until,
  untilEnded,
} from "../testing/job-store.ts";

const secret = "a secret of the agent's\n";
let store: Store;
let elsewhere: string;
let target: string;

beforeEach(async () => {
  store = await openStore();
  elsewhere = mkdtempSync(join(tmpdir(), "outpost-elsewhere-"));
  target = join(elsewhere, "secret");
  writeFileSync(target, secret);
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  expect(readFileSync(target, "utf8")).toBe(secret);
  rmSync(elsewhere, { recursive: true });
});

/** Puts a link to the secret in the place of a job's file. */
function link(job: JobId, file: string): void {
  rmSync(store.path(job, file), { force: true });
  symlinkSync(target, store.path(job, file));
}

test.each([
  ["stdout", 10],
  ["stdout", 100_000],
  ["stderr", 10],
  ["stderr", 100_000],
  ["timeline", 100_000],
] as const)("a %s of %i bytes that is a link now is not read", async (name, bytes) => {
  const output = `head -c ${String(bytes)} /dev/zero`;
  const { status } = await shell(store.jobs, `${output}; ${output} >&2`);
  await until(() => readdirSync(store.path(status.job)).includes("end.json"));
  link(status.job, name);
  const reading = readJob(store.jobs, status.job, { from: { [name]: 0 } });
  await expect(reading.result).rejects.toMatchObject({
    code: ErrorCode.conflict,
    message: expect.stringContaining(`${name} in the job's directory is a symbolic link now`),
  });
  expect(reading.bytes(name).toString()).not.toContain("secret");
});

test("a pipe in its place is not waited for", async () => {
  const { status } = await shell(store.jobs, "head -c 100000 /dev/zero");
  rmSync(store.path(status.job, "stdout"));
  execFileSync("mkfifo", [store.path(status.job, "stdout")]);
  await expect(readJob(store.jobs, status.job).result).rejects.toMatchObject({
    code: ErrorCode.conflict,
    message: expect.stringContaining("is no regular file now"),
  });
});

test("what a job's records are written to is never what a link leads to", async () => {
  const job = await background(store.jobs, "head -c 100000 /dev/zero; exec sleep 600");
  await until(() => statusOf(store.jobs, job).output.stdout.written === 100_000);
  for (const file of ["received.json", "stop.json", "end.json"]) {
    link(job, file);
    link(job, `${file}.tmp`);
  }
  link(job, "timeline");
  await store.jobs.acknowledge({ job, received: { stdout: 50_000 } });
  await store.jobs.stop({ job, operator: "ada", graceMs: 0 });
  const { state, reason } = await untilEnded(store.jobs, job);
  expect([state, reason?.by]).toEqual(["stopped", "ada"]);
  await until(() => lstatSync(store.path(job, "end.json")).isFile());
  expect(lstatSync(store.path(job, "received.json")).isFile()).toBe(true);
  expect(lstatSync(store.path(job, "stop.json")).isFile()).toBe(true);
  await store.reopen();
  expect(statusOf(store.jobs, job)).toMatchObject({
    state: "stopped",
    output: { stdout: { received: 50_000 } },
  });
});

test.each(["spec.json", "process.json", "stdout", "stderr", "timeline", "stop.json"])(
  "a job whose %s is a link when it is adopted is lost, and says why",
  async (file) => {
    const job = await background(store.jobs, "head -c 300000 /dev/zero; exec sleep 600");
    const other = await background(store.jobs, "exec sleep 600");
    await until(() => statusOf(store.jobs, job).output.stdout.written === 300_000);
    const { pid } = JSON.parse(readFileSync(store.path(job, "process.json"), "utf8")) as { pid: number };
    link(job, file);
    await store.reopen();
    // Nobody else ends it any more.
    process.kill(-pid, "SIGKILL");
    expect(statusOf(store.jobs, job)).toMatchObject({
      state: "lost",
      reason: {
        code: "record_damaged",
        message: `${file} in the job's directory is a symbolic link now; Outpost made a file, so something else put it there, and it is not used`,
      },
    });
    expect(statusOf(store.jobs, other).state).toBe("running");
  },
);

test("a job whose exit record is a link is lost", async () => {
  const job = await background(store.jobs, "exec sleep 600");
  const { pid } = JSON.parse(readFileSync(store.path(job, "process.json"), "utf8")) as { pid: number };
  const jobs = store.jobs;
  await jobs[Symbol.asyncDispose]();
  writeFileSync(join(elsewhere, "exit"), "exit 0\n");
  rmSync(store.path(job, "exit"));
  symlinkSync(join(elsewhere, "exit"), store.path(job, "exit"));
  process.kill(-pid, "SIGKILL");
  await store.reopen();
  expect(await untilEnded(store.jobs, job)).toMatchObject({
    state: "lost",
    reason: { code: "record_damaged" },
  });
});

test("a link to what was received costs nothing but receiving again", async () => {
  const job = await background(store.jobs, "echo hello; exec sleep 600");
  await until(() => statusOf(store.jobs, job).output.stdout.written === 6);
  await store.jobs.acknowledge({ job, received: { stdout: 6 } });
  link(job, "received.json");
  await store.reopen();
  expect(statusOf(store.jobs, job)).toMatchObject({ state: "running", output: { stdout: { received: 0 } } });
});

test("a link in the place of the whole directory is not entered, and nothing starts in the job's name again", async () => {
  const { status } = await shell(store.jobs, "echo hello");
  const { job } = status;
  await store.jobs[Symbol.asyncDispose]();
  renameSync(store.path(job), join(elsewhere, "moved"));
  symlinkSync(join(elsewhere, "moved"), store.path(job));
  const before = readdirSync(join(elsewhere, "moved"));
  await store.reopen();
  expect(statusOf(store.jobs, job)).toMatchObject({
    state: "lost",
    reason: { code: "record_damaged", message: expect.stringContaining("is a symbolic link now") },
    removed: true,
  });
  expect(readdirSync(join(elsewhere, "moved"))).toEqual(before);
  const again = await shell(store.jobs, "echo again", { job });
  expect(again.status.state).toBe("lost");
});
