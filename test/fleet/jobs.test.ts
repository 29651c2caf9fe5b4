/** Both job stores of the fleet emulator, asked the same: real directories with no processes, and none of either. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultJobSettings, type HeldJobs, Jobs, type JobsOptions } from "@outpost/agent";
import {
  type Gap,
  type JobId,
  type JobStartParams,
  limits,
  newJobId,
  OutgoingStream,
  OutpostError,
  type StreamName,
  systemClock,
} from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostPlatform } from "../../packages/agent/src/platform/index.ts";
import { eventually } from "../kit/wait.ts";
import { instantLauncher } from "./instant-launcher.ts";
import { MemoryJobs } from "./memory-jobs.ts";

const stores = {
  real: (options: JobsOptions): Promise<HeldJobs & AsyncDisposable> =>
    Jobs.open({ ...options, launcher: instantLauncher(systemClock, "web1", hostPlatform().bootId) }),
  memory: (options: JobsOptions): Promise<HeldJobs & AsyncDisposable> =>
    Promise.resolve(new MemoryJobs(options)),
};

describe.each(Object.entries(stores))("%s jobs", (_, open) => {
  let directory: string;
  let jobs: HeldJobs & AsyncDisposable;
  let ended: string[];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "outpost-fleet-jobs-"));
    ended = [];
    jobs = await open({
      directory,
      hostName: "web1",
      settings: { ...defaultJobSettings, minFreeBytes: 0, maxRunningJobs: 3 },
      clock: systemClock,
      log: pino({ level: "silent" }),
      ended: (job) => ended.push(job.id),
    });
  });

  afterEach(async () => {
    await jobs[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  function start(argv: string[], options: Partial<JobStartParams> = {}) {
    return jobs.start({
      job: newJobId(),
      operator: "ada",
      expiresAt: Date.now() + 60_000,
      inlineWaitMs: 10_000,
      spec: { command: { kind: "exec", argv }, env: {}, input: { kind: "none" } },
      ...options,
    });
  }

  async function background(argv: string[]): Promise<JobId> {
    return (await start(argv, { inlineWaitMs: 0 })).status.job;
  }

  /** Reads everything, with credit for a window at a time. */
  async function read(job: JobId, from = 0, window = limits.minWindowBytes) {
    const bytes: Record<string, Buffer[]> = {};
    const gaps: { name: StreamName; gap: Gap }[] = [];
    const ends: string[] = [];
    const sink = {
      open(name: StreamName, offset: number): OutgoingStream {
        const stream: OutgoingStream = new OutgoingStream(1, {
          sendChunk(_stream, at, piece) {
            (bytes[name] ??= []).push(Buffer.from(piece));
            setImmediate(() => stream.credited(at + piece.byteLength + window));
          },
          sendCredit() {},
          sendEnd: (_stream, error) => void ends.push(error === undefined ? name : `${name} ${error.code}`),
          writable: () => Promise.resolve(),
        });
        stream.begin(offset, window);
        return stream;
      },
      gap: (name: StreamName, gap: Gap) => void gaps.push({ name, gap }),
    };
    const params = { job, from: { stdout: from, stderr: 0 }, follow: true, window };
    const result = await jobs.read(params, sink, new AbortController().signal);
    for (const name of ["stdout", "stderr"] as const) {
      const chunk = result.tail?.[name];
      if (chunk !== undefined) (bytes[name] ??= []).push(Buffer.from(chunk.bytes));
    }
    return { ...result, gaps, ends, stdout: Buffer.concat(bytes["stdout"] ?? []) };
  }

  const codeOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => "ok",
      (error: unknown) => OutpostError.from(error).code,
    );

  test("a short job is answered with its end and all of its output", async () => {
    const { status, tail } = await start(["echo", "hello"]);
    expect(status).toMatchObject({
      state: "completed",
      exit: { code: 0 },
      output: { stdout: { written: 6, received: 0 }, stderr: { written: 0 } },
    });
    expect(Buffer.from(tail!.stdout!.bytes).toString()).toBe("hello\n");
    expect(tail!.timeline!.bytes).toHaveLength(16);
    expect(ended).toEqual([status.job]);
  });

  test("one that fails says how; one that cannot be started, that", async () => {
    expect((await start(["exit", "3"])).status).toMatchObject({ state: "failed", exit: { code: 3 } });
    const { status } = await start(["no-such-program"]);
    expect(status).toMatchObject({ state: "failed", reason: { code: "start_failed" } });
    expect(status.startedAt).toBeUndefined();
  });

  test("asked for twice it runs once, and a third time it is remembered", async () => {
    const job = newJobId();
    const first = await start(["echo", "once"], { job });
    const second = await start(["echo", "twice"], { job });
    expect(second.status).toEqual(first.status);
    await jobs.acknowledge({ job, received: { stdout: 5, stderr: 0 } });
    const third = await start(["echo", "thrice"], { job });
    expect(third.status).toMatchObject({ state: "completed", removed: true });
    expect(third.tail).toBeUndefined();
    expect(ended).toEqual([job]);
  });

  test("too late, and nothing ran", async () => {
    const { status } = await start(["echo"], { expiresAt: Date.now() - 1 });
    expect(status).toMatchObject({ state: "failed", reason: { code: "expired" }, removed: true });
    expect(jobs.list()).toEqual([]);
  });

  test("changes are told in order", async () => {
    const told: string[] = [];
    jobs.onChanged(({ state }) => told.push(state));
    const job = await background(["sleep", "0.05"]);
    await eventually(() => jobs.status([job])[0]?.state === "completed");
    expect(told).toEqual(["running", "completed"]);
  });

  test("one that runs is stopped, by whom is said, and it writes nothing any more", async () => {
    const job = await background(["sleep", "600", "echo", "late"]);
    expect(jobs.list()).toMatchObject([{ job, state: "running" }]);
    expect(await codeOf(jobs.remove(job))).toBe("conflict");
    await jobs.stop({ job, operator: "grace", graceMs: 0 });
    await eventually(() => jobs.status([job])[0]?.state === "stopped");
    const [status] = jobs.status([job]);
    expect(status).toMatchObject({ reason: { code: "stopped", by: "grace" } });
    expect((await read(job)).stdout).toHaveLength(0);
    await jobs.remove(job);
    expect(jobs.list()).toEqual([]);
  });

  test("a timeout ends it", async () => {
    const spec = { env: {}, input: { kind: "none" as const }, timeoutMs: 30 };
    const { status } = await start(["sleep", "600"], {
      spec: { ...spec, command: { kind: "exec", argv: ["sleep", "600"] } },
    });
    expect(status).toMatchObject({ state: "failed", reason: { code: "timed_out" } });
  });

  test("long output comes as far as credit goes, from any offset, to its last byte", async () => {
    const size = 1_000_003;
    const job = await background(["fill", String(size), "own"]);
    const whole = await read(job);
    expect(whole.status.state).toBe("completed");
    expect(whole.stdout).toHaveLength(size);
    expect(whole.ends).toEqual(["stdout"]);
    const part = await read(job, 123_457);
    expect(part.stdout.equals(whole.stdout.subarray(123_457))).toBe(true);
  });

  test("what was received is forgotten, and the gap says so", async () => {
    const { status } = await start(["echo", "hello"]);
    await jobs.acknowledge({ job: status.job, received: { stdout: 3 } });
    expect(jobs.status([status.job])).toMatchObject([{ output: { stdout: { received: 3 } } }]);
    await jobs.acknowledge({ job: status.job, received: { stdout: 6, stderr: 0 } });
    expect(jobs.list()).toEqual([]);
    const again = await read(status.job);
    expect(again.gaps).toEqual([{ name: "stdout", gap: { from: 0, to: 6, reason: "received" } }]);
    expect(again.status).toMatchObject({ state: "completed", removed: true });
    const { operator, isLocal } = jobs.known(status.job)!;
    expect([operator, isLocal]).toEqual(["ada", false]);
  });

  test("no more run than may", async () => {
    for (let index = 0; index < 3; index++) await background(["sleep", "600"]);
    expect(await codeOf(start(["true"]))).toBe("limit_exceeded");
    for (const { job } of jobs.list()) await jobs.stop({ job, operator: "ada", graceMs: 0 });
    await eventually(() => jobs.list().every(({ state }) => state === "stopped"));
  });

  test("of what was never there nothing is known", async () => {
    const job = newJobId();
    expect(jobs.known(job)).toBeUndefined();
    expect(jobs.status([job])).toEqual([]);
    expect(await codeOf(jobs.stop({ job, operator: "ada" }))).toBe("not_found");
    expect(await codeOf(read(job))).toBe("not_found");
    expect(await codeOf(jobs.input(job))).toBe("not_found");
  });
});
