import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  background,
  openStore,
  outputOf,
  request,
  statusOf,
  temporaryDirectory,
  until,
  untilEnded,
} from "../testing/job-store.ts";
import { countRuns, parseExitRecord } from "./exit-record.ts";
import { emptyRetryingExitRecord } from "./wrapper.ts";

const retry = (times: number, delayMs = 0) => ({ retry: { times, delayMs } });

/** Fails until it was run `runs` times, with its number as exit code; a line of each run on both streams. */
function succeedsAt(runs: number): string {
  const file = join(temporaryDirectory(), "runs");
  return `echo x >> ${file}; n=$(wc -l < ${file}); echo "out $n"; echo "err $n" >&2; [ $n -ge ${String(runs)} ] || exit $n`;
}

describe("a job that is retried", () => {
  it("runs until it succeeds, its output in one stream", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, succeedsAt(3), retry(5));
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "completed",
      exit: { code: 0 },
      attempts: 3,
    });
    expect(await outputOf(store.jobs, job)).toEqual({
      stdout: "out 1\nout 2\nout 3\n",
      stderr: "err 1\nerr 2\nerr 3\n",
    });
  });

  it("ends as the last run did, when none succeeds", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, succeedsAt(9), retry(2));
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "failed",
      exit: { code: 3 },
      attempts: 3,
    });
  });

  it("knows a signal of the last run from those before it", async () => {
    await using store = await openStore();
    const file = join(temporaryDirectory(), "first");
    const text = `if [ -e ${file} ]; then exit 143; fi; : > ${file}; kill -KILL $$`;
    const exits = await background(store.jobs, text, retry(1));
    expect(await untilEnded(store.jobs, exits)).toMatchObject({ exit: { code: 143 }, attempts: 2 });
    const killed = await background(store.jobs, "kill -KILL $$", retry(1));
    expect(await untilEnded(store.jobs, killed)).toMatchObject({ exit: { signal: "SIGKILL" }, attempts: 2 });
  });

  it.each([
    ["while it waits for the next run", "exit 1", 60_000],
    ["while it runs", "echo on; sleep 60", 0],
  ])("runs no more when it is stopped %s", async (_, text, delayMs) => {
    await using store = await openStore();
    const job = await background(store.jobs, `echo run; ${text}`, retry(50, delayMs));
    await until(() => statusOf(store.jobs, job).output.stdout.written > 0, "output");
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", reason: { by: "ada" } });
    expect((await outputOf(store.jobs, job)).stdout.match(/run/g)).toHaveLength(1);
  });

  it("goes on, and is counted, when the agent is another", async () => {
    await using store = await openStore();
    const gate = join(temporaryDirectory(), "gate");
    const text = `[ -e ${gate} ] && exit 0; exit 7`;
    const job = await background(store.jobs, text, retry(100, 20));
    await until(() => (statusOf(store.jobs, job).attempts ?? 0) > 1, "a second run");
    const jobs = await store.reopen();
    const before = statusOf(jobs, job).attempts!;
    expect(before).toBeGreaterThan(1);
    await until(() => statusOf(jobs, job).attempts! > before, "another run");
    writeFileSync(gate, "");
    const end = await untilEnded(jobs, job);
    expect(end).toMatchObject({ state: "completed", exit: { code: 0 } });
    // What has ended is read from its record.
    const again = await store.reopen();
    expect(statusOf(again, job)).toMatchObject({ state: "completed", attempts: end.attempts });
  });

  it("is refused with an input, which only the first run could read", async () => {
    await using store = await openStore();
    const input = { kind: "inline", bytes: Buffer.from("x") } as const;
    const start = store.jobs.start(request({ kind: "shell", text: "cat" }, { input, ...retry(1) }));
    await expect(start).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

it("the record of a job that is retried counts as that of its last run", () => {
  const end = fc.record({ code: fc.integer({ min: 1, max: 255 }), remark: fc.boolean() });
  const lines = ({ code, remark }: { code: number; remark: boolean }, word: string): string =>
    `${remark ? "Killed\n" : ""}${word} ${String(code)}\n`;
  fc.assert(
    fc.property(fc.array(end, { maxLength: 100 }), end, fc.nat(), (before, last, cut) => {
      const retries = before.map((each) => lines(each, "again")).join("");
      const record = lines(last, "exit");
      const content = (text: string): Buffer => {
        const bytes = emptyRetryingExitRecord();
        bytes.write(text, "latin1");
        return bytes;
      };
      expect(parseExitRecord(content(retries + record))).toEqual(parseExitRecord(content(record)));
      expect(countRuns(content(retries + record))).toBe(before.length + 1);
      // Cut before the last line's end, it is no record.
      const shorter = (retries + record).slice(0, cut % (retries.length + record.length));
      expect(parseExitRecord(content(shorter)).kind).not.toBe("complete");
    }),
  );
});
