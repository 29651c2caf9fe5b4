/** Jobs may give their files any size and any date: what is told of them is a status all the same. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, realpathSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeTimeline, JobStatus, newJobId, Time } from "@outpost/protocol";
import { FakeClock } from "@outpost/protocol/testing";
import * as v from "valibot";
import { expect, test } from "vitest";
import { openStore, outputOf, shell, untilEnded } from "../testing/job-store.ts";
import { Job } from "./job.ts";
import { JobDirectory } from "./job-directory.ts";
import { openJobFile } from "./job-file.ts";
import { OutputLog } from "./output-log.ts";

const memory = "/dev/shm";
const tmpfs = 0x01021994;

function takesAnySize(): boolean {
  try {
    return statfsSync(memory).type === tmpfs;
  } catch {
    return false;
  }
}

test("output of any size, also once the job is removed", async (context) => {
  if (!takesAnySize()) context.skip("it needs a file system with files of any size");
  const directory = mkdtempSync(join(memory, "outpost-extents-"));
  try {
    await using store = await openStore({ directory, settings: { maxOutputBytesPerJob: 2 ** 52 } });
    const { status } = await shell(store.jobs, "truncate -s 9223372036854775807 /dev/stdout /dev/stderr");
    await untilEnded(store.jobs, status.job);
    const [told] = store.jobs.status([status.job]);
    expect(v.is(JobStatus, told)).toBe(true);
    const written = told!.output.stdout.written + told!.output.stderr.written;
    expect(written).toBe(2 ** 51);
    await store.jobs.remove(status.job);
    const jobs = await store.reopen();
    // Else it could be started again.
    expect(v.is(JobStatus, jobs.status([status.job])[0])).toBe(true);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("output that was never written takes no room from other jobs", async () => {
  await using store = await openStore({ settings: { maxOutputBytesPerJob: 1024 ** 2 } });
  const { status } = await shell(store.jobs, "echo kept");
  const large = await shell(store.jobs, "truncate -s 1T /dev/stdout; sleep 60");
  await untilEnded(store.jobs, large.status.job);
  expect(store.jobs.status([large.status.job])).toMatchObject([
    { state: "failed", reason: { code: "output_limit" } },
  ]);
  expect(await outputOf(store.jobs, status.job)).toMatchObject({ stdout: "kept\n" });
});

/** @param date in seconds since 1970 */
function touch(path: string, date: number): void {
  expect(spawnSync("touch", ["-d", `@${String(date)}`, path]).status).toBe(0);
}

test.each([-2_208_988_800, 253_402_300_799, 9_000_000_000_000])("files of the date %d", (date) => {
  const root = mkdtempSync(join(takesAnySize() ? memory : realpathSync(tmpdir()), "outpost-extents-"));
  try {
    const directory = new JobDirectory(root, newJobId());
    directory.create();
    const files = {
      stdout: openJobFile(directory.file("stdout"), "a+"),
      stderr: openJobFile(directory.file("stderr"), "a+"),
    };
    const job = new Job(directory.job);
    const grew = (): void => {};
    const log = new OutputLog({
      job,
      directory,
      clock: new FakeClock(),
      files,
      maxBytes: 1,
      grew,
      exitTouched: grew,
    });
    writeFileSync(directory.file("stdout"), "text");
    touch(directory.file("stdout"), date);
    expect(log.observe()).toBe(true);
    const [record] = decodeTimeline(log.timeline.unwritten!);
    expect(record).toMatchObject({ stream: "stdout", upTo: 4 });
    expect(Number.isNaN(new Date(record!.timeUs / 1000).getTime())).toBe(false);
    log.close();
    closeSync(openJobFile(directory.file("exit"), "w+"));
    writeFileSync(directory.file("exit"), "exit 0\n");
    touch(directory.file("exit"), date);
    const { record: exit, at } = directory.readExit();
    expect(exit).toEqual({ kind: "complete", exit: { code: 0 } });
    expect(v.is(Time, at)).toBe(true);
  } finally {
    rmSync(root, { recursive: true });
  }
});
