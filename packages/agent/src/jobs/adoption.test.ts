import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type JobId, type JobStartParams, newJobId } from "@outpost/protocol";
import { describe, expect, it } from "vitest";
import {
  background,
  isAlive,
  openStore,
  outputOf,
  readJob,
  request,
  shell,
  statusOf,
  type Store,
  temporaryDirectory,
  until,
  untilEnded,
} from "../testing/job-store.ts";
import { emptyExitRecord } from "./wrapper.ts";

const holderPath = fileURLToPath(new URL("../testing/job-holder.ts", import.meta.url));

/** Starts jobs from a process of its own, and kills that without a word. */
async function startAndCrash(directory: string, ...requests: JobStartParams[]): Promise<void> {
  const holder = spawn(
    process.execPath,
    ["--conditions=source", holderPath, directory, ...requests.map((params) => JSON.stringify(params))],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await ready(holder);
  holder.kill("SIGKILL");
  await once(holder, "exit");
}

async function ready(holder: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: holder.stdout! })) if (line === "ready") return;
  throw new Error("the process that holds the jobs has ended");
}

function wrapperOf(store: Store, job: JobId): number {
  const record = JSON.parse(readFileSync(store.path(job, "process.json"), "utf8")) as { pid: number };
  return record.pid;
}

describe("an agent that was killed", () => {
  it("leaves its jobs running, and the next one finds their whole output", async () => {
    const directory = temporaryDirectory();
    const params = request(
      {
        kind: "shell",
        text: "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 7",
      },
      { inlineWaitMs: 0 },
    );
    await startAndCrash(directory, params);
    await using store = await openStore({ directory });
    expect(statusOf(store.jobs, params.job).state).toBe("running");
    const reading = readJob(store.jobs, params.job);
    expect((await reading.result).status).toMatchObject({ state: "failed", exit: { code: 7 } });
    const lines = Array.from({ length: 40 }, (_, i) => `line ${String(i)}\n`);
    expect(reading.bytes("stdout").toString()).toBe(lines.join(""));
  });

  it("misses the end of a job, which the next one settles from the record, and never runs it again", async () => {
    const directory = temporaryDirectory();
    const params = request({ kind: "shell", text: "echo $$; sleep 0.3; exit 4" }, { inlineWaitMs: 0 });
    await startAndCrash(directory, params);
    await until(() => readFileSync(`${directory}/${params.job}/exit`, "utf8").includes("\n"));
    await using store = await openStore({ directory });
    const status = statusOf(store.jobs, params.job);
    expect(status).toMatchObject({ state: "failed", exit: { code: 4 } });
    const output = await outputOf(store.jobs, params.job);
    expect((await store.jobs.start(params)).status).toEqual(status);
    expect(await outputOf(store.jobs, params.job)).toEqual(output);
    expect(output.stdout).toMatch(/^\d+\n$/);
  });

  it("is told by the exit record that an adopted job was killed by a signal", async () => {
    const directory = temporaryDirectory();
    const params = request({ kind: "shell", text: "echo $$; exec sleep 60" }, { inlineWaitMs: 0 });
    await startAndCrash(directory, params);
    await using store = await openStore({ directory });
    await until(() => readFileSync(store.path(params.job, "stdout"), "utf8").endsWith("\n"));
    process.kill(Number(readFileSync(store.path(params.job, "stdout"), "utf8")), "SIGKILL");
    expect(await untilEnded(store.jobs, params.job)).toMatchObject({
      state: "failed",
      exit: { signal: "SIGKILL" },
    });
  });

  it("has stopped a job: the next one says by whom", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "trap '' TERM; echo up; while :; do sleep 0.05; done");
    await until(() => statusOf(store.jobs, job).output.stdout.written > 0);
    await store.jobs.stop({ job, operator: "grace", graceMs: 300 });
    const jobs = await store.reopen();
    expect(await untilEnded(jobs, job)).toMatchObject({
      state: "stopped",
      reason: { code: "stopped", by: "grace" },
    });
  });

  it("had a job with a timeout: it counts from the start", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "sleep 60", { timeoutMs: 400 });
    const { startedAt } = statusOf(store.jobs, job);
    const jobs = await store.reopen();
    const status = await untilEnded(jobs, job);
    expect(status).toMatchObject({ state: "failed", reason: { code: "timed_out" }, startedAt });
    expect(status.endedAt! - startedAt!).toBeGreaterThanOrEqual(390);
    expect(status.endedAt! - startedAt!).toBeLessThan(5_000);
  });

  it("left main processes that ended while others hold the output", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "(sleep 0.5; echo late) & exit 3");
    await until(() => statusOf(store.jobs, job).exit !== undefined);
    const jobs = await store.reopen();
    expect(statusOf(jobs, job)).toMatchObject({ state: "running", exit: { code: 3 } });
    expect(await untilEnded(jobs, job)).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(await outputOf(jobs, job)).toEqual({ stdout: "late\n", stderr: "" });
  });
});

describe("what cannot be known is lost, not guessed", () => {
  /** A directory of a job that some agent started and nobody watches. */
  function deadJob(store: Store, files: Record<string, string | Uint8Array>): JobId {
    const job = newJobId();
    mkdirSync(store.path(job));
    for (const [name, content] of Object.entries(files)) writeFileSync(store.path(job, name), content);
    return job;
  }
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  const spec = JSON.stringify({ operator: "ada", acceptedAt: 1000, bootId, streamed: false });
  const vanished = { pid: 2 ** 22 + 1, startTime: "1", bootId, startedAt: 1234, program: "/bin/true" };
  const base = { "spec.json": spec, stdout: "abc", stderr: "", exit: emptyExitRecord };

  it.each([
    ["an empty exit file", "", "wrapper_vanished"],
    ["an exit file as it was made", emptyExitRecord.toString(), "wrapper_vanished"],
    ["a half-written record", "exit 1", "record_damaged"],
    ["a remark without a record", "Killed\n", "record_damaged"],
  ])("%s and no wrapper", async (_, exit, code) => {
    await using store = await openStore();
    const job = deadJob(store, { ...base, exit, "process.json": JSON.stringify(vanished) });
    const jobs = await store.reopen();
    const status = statusOf(jobs, job);
    expect(status).toMatchObject({ state: "lost", reason: { code }, startedAt: 1234 });
    expect(status.endedAt).toBeUndefined();
    expect(status.exit).toBeUndefined();
    expect(await outputOf(jobs, job)).toEqual({ stdout: "abc", stderr: "" });
    // And it stays so.
    expect(statusOf(await store.reopen(), job)).toEqual(status);
  });

  it("a pid that is somebody else's", async () => {
    await using store = await openStore();
    const other = spawn("sleep", ["60"], { detached: true });
    const record = { ...vanished, pid: other.pid! };
    const job = deadJob(store, { ...base, "process.json": JSON.stringify(record) });
    const jobs = await store.reopen();
    expect(statusOf(jobs, job)).toMatchObject({ state: "lost", reason: { code: "wrapper_vanished" } });
    expect(isAlive(other.pid!)).toBe(true);
    other.kill();
  });

  it("another boot of the host, unless the record was written before", async () => {
    await using store = await openStore();
    // Even a pid that lives, and by chance has the same start time.
    const self = /\) \S+ (?:\S+ ){18}(\d+)/.exec(readFileSync("/proc/self/stat", "latin1"))![1]!;
    const record = { ...vanished, pid: process.pid, startTime: self, bootId: "another" };
    const lost = deadJob(store, { ...base, "process.json": JSON.stringify(record) });
    const ended = deadJob(store, { ...base, exit: "exit 5\n", "process.json": JSON.stringify(record) });
    const jobs = await store.reopen();
    expect(statusOf(jobs, lost)).toMatchObject({ state: "lost", reason: { code: "host_rebooted" } });
    expect(statusOf(jobs, ended)).toMatchObject({ state: "failed", exit: { code: 5 } });
  });

  it("an agent that died between the spec and the process: the id is not run again", async () => {
    await using store = await openStore();
    const job = deadJob(store, { "spec.json": spec, stdout: "", stderr: "", exit: emptyExitRecord });
    const jobs = await store.reopen();
    expect(statusOf(jobs, job)).toMatchObject({ state: "lost", reason: { code: "start_interrupted" } });
    const { status } = await jobs.start(request({ kind: "exec", argv: ["true"] }, { job }));
    expect(status.state).toBe("lost");
  });

  it.each([
    ["nothing", {}],
    ["half a spec", { "spec.json": '{"operator":"a' }],
    ["no exit file yet", { "spec.json": spec, stdout: "", stderr: "" }],
    ["an exit file that was just made", { "spec.json": spec, stdout: "", stderr: "", exit: "" }],
  ])("but a directory with %s ran nothing, so the id is free", async (_, files) => {
    await using store = await openStore();
    const job = deadJob(store, files);
    const jobs = await store.reopen();
    expect(existsSync(store.path(job))).toBe(false);
    const { status } = await jobs.start(request({ kind: "exec", argv: ["true"] }, { job }));
    expect(status.state).toBe("completed");
  });

  it.each([
    ["another boot's spec", { "spec.json": spec.replace(bootId, "another"), exit: "" }],
    ["a spec that a power failure emptied", { "spec.json": "", exit: "" }],
  ])("%s proves nothing, so the id is not run again", async (_, files) => {
    await using store = await openStore();
    const job = deadJob(store, files);
    const jobs = await store.reopen();
    expect(statusOf(jobs, job)).toMatchObject({ state: "lost", reason: { code: "start_interrupted" } });
  });

  it.each(["missing", "half-written"])(
    "and a process whose record is %s is found by its environment",
    async (how) => {
      await using store = await openStore();
      const job = await background(store.jobs, "sleep 0.4; echo found; exit 8");
      const pid = wrapperOf(store, job);
      await store.jobs[Symbol.asyncDispose]();
      if (how === "missing") rmSync(store.path(job, "process.json"));
      else writeFileSync(store.path(job, "process.json"), `{"pid":${String(pid)},"sta`);
      const jobs = await store.reopen();
      expect(statusOf(jobs, job).state).toBe("running");
      expect(await untilEnded(jobs, job)).toMatchObject({ state: "failed", exit: { code: 8 } });
      expect(await outputOf(jobs, job)).toEqual({ stdout: "found\n", stderr: "" });
    },
  );

  it("a wrapper that was killed: the job counts as running as long as its processes hold the output", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "echo up; sleep 0.4; echo still here");
    await until(() => statusOf(store.jobs, job).output.stdout.written > 0);
    process.kill(wrapperOf(store, job), "SIGKILL");
    await until(() => !isAlive(wrapperOf(store, job)));
    expect(statusOf(store.jobs, job).state).toBe("running");
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "lost",
      reason: { code: "wrapper_vanished" },
    });
    expect(await outputOf(store.jobs, job)).toEqual({ stdout: "up\nstill here\n", stderr: "" });
  });

  it("files of the directory that are gone", async () => {
    await using store = await openStore();
    const job = deadJob(store, { "spec.json": spec, "process.json": JSON.stringify(vanished) });
    const jobs = await store.reopen();
    expect(statusOf(jobs, job)).toMatchObject({ state: "lost", reason: { code: "record_damaged" } });
  });
});

describe("many ended jobs", () => {
  it("a thousand are taken up in less than two seconds", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo x");
    await store.reopen();
    const template = ["spec.json", "process.json", "stdout", "stderr", "exit"].map(
      (name) => [name, readFileSync(store.path(status.job, name))] as const,
    );
    // Without end.json: the slower way, as after a crash of the host's power.
    for (let i = 0; i < 1000; i++) {
      const path = store.path(newJobId());
      mkdirSync(path);
      for (const [name, content] of template) writeFileSync(`${path}/${name}`, content);
    }
    const before = performance.now();
    const jobs = await store.reopen();
    const firstMs = performance.now() - before;
    expect(jobs.list()).toHaveLength(1001);
    expect(jobs.list().every(({ state }) => state === "completed")).toBe(true);
    const again = performance.now();
    await store.reopen();
    const secondMs = performance.now() - again;
    expect(firstMs).toBeLessThan(2000);
    expect(secondMs).toBeLessThan(2000);
  });
});
