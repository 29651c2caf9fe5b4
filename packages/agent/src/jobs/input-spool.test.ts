import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { OutpostError } from "@outpost/protocol";
import { describe, expect, it } from "vitest";
import { background, openStore, outputOf, shell, statusOf, until, untilEnded } from "../testing/job-store.ts";

const streamed = { input: { kind: "stream" } } as const;

describe("streamed input", () => {
  it("reaches the job as it comes, and ends when it is complete", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "cat", streamed);
    const input = await store.jobs.input(job);
    await input.write(0, Buffer.from("one "));
    await until(() => statusOf(store.jobs, job).output.stdout.written === 4);
    await input.write(4, Buffer.from("two"));
    await until(() => statusOf(store.jobs, job).output.stdout.written === 7);
    expect(statusOf(store.jobs, job).state).toBe("running");
    await input.end();
    await input.end();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    expect((await outputOf(store.jobs, job)).stdout).toBe("one two");
  });

  it("is stored once, whatever is sent again, and refuses a hole", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "cat", streamed);
    const input = await store.jobs.input(job);
    await input.write(0, Buffer.from("abcdef"));
    await input.write(0, Buffer.from("abc"));
    await input.write(3, Buffer.from("defghi"));
    await expect(input.write(10, Buffer.from("x"))).rejects.toMatchObject({ code: "invalid_argument" });
    expect(input.size).toBe(9);
    await input.end();
    await expect(input.write(9, Buffer.from("x"))).rejects.toMatchObject({ code: "conflict" });
    await untilEnded(store.jobs, job);
    expect((await outputOf(store.jobs, job)).stdout).toBe("abcdefghi");
  });

  it("survives an agent restart in the middle, with a job that reads slowly", async () => {
    await using store = await openStore();
    const bytes = randomBytes(3_000_000);
    const job = await background(store.jobs, "sleep 0.2; head -c 1000; sleep 0.2; cat", streamed);
    let input = await store.jobs.input(job);
    await input.write(0, bytes.subarray(0, 1_000_000));
    await store.reopen();
    input = await store.jobs.input(job);
    expect(input.size).toBe(1_000_000);
    await input.write(1_000_000, bytes.subarray(1_000_000));
    await store.reopen();
    input = await store.jobs.input(job);
    expect(input.size).toBe(3_000_000);
    await input.end();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    const sha = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
    expect(sha(readFileSync(store.path(job, "stdout")))).toBe(sha(bytes));
  });

  it("may be left unread by a job", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "head -c 2; exec sleep 0.1", streamed);
    const input = await store.jobs.input(job);
    await input.write(0, randomBytes(500_000));
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    await expect(store.jobs.input(job)).rejects.toMatchObject({ code: "conflict" });
    await expect(input.write(500_000, Buffer.from("x"))).rejects.toMatchObject({ code: "conflict" });
  });

  it("that will never be complete stops the job instead of ending", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "cat; echo saw the end", streamed);
    const input = await store.jobs.input(job);
    await input.write(0, Buffer.from("half"));
    await until(() => statusOf(store.jobs, job).output.stdout.written === 4);
    await input.fail(new OutpostError("cancelled", "the sender went away"));
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "stopped",
      reason: { code: "stopped", message: /the sender went away/ },
    });
    expect((await outputOf(store.jobs, job)).stdout).toBe("half");
  });

  it("is a pipe: the job can open it by name, and its feeder goes with the job", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "test -p /dev/stdin && cat /dev/stdin", streamed);
    const input = await store.jobs.input(job);
    await input.write(0, Buffer.from("x"));
    await input.end();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    expect(existsSync(store.path(job, "stdin.pipe"))).toBe(false);
  });

  it("is refused by a job that takes none", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "sleep 60");
    await expect(store.jobs.input(job)).rejects.toMatchObject({ code: "conflict" });
    const { status } = await shell(store.jobs, "true");
    await expect(store.jobs.input(status.job)).rejects.toMatchObject({ code: "conflict" });
  });
});
