import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostName, newJobId } from "@outpost/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CollectedStore } from "./collected-store.ts";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

const both = ["stdout", "stderr"] as const;

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function collecting(bench: Bench) {
  const client = await bench.client();
  const params = startParams("web1", { mode: "collect" });
  await client.request("fanout.start", params);
  await until(() => bench.agent("web1").jobs.has(params.job), "the start");
  return { client, id: params.job, job: bench.agent("web1").job(params.job) };
}

describe("collecting", () => {
  test("goes on without any operator, frees the host, and is received from here", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await collecting(bench);
    job.write("stdout", randomBytes(200_000));
    job.write("stderr", "warning");
    job.end(2);
    await until(() => job.isRemoved, "the acknowledgement");
    await bench.cut("web1");
    const { fanout, jobs } = await client.request("fanout.show", { job: id });
    expect(fanout).toMatchObject({ state: "failed", unreadBytes: 200_007 });
    expect(jobs[0]?.unreachableSince).toBeUndefined();
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true });
    await receiver.finished;
    expect(digest(receiver.bytes("web1"))).toBe(digest(job.output.stdout));
    expect(receiver.text("web1", "stderr")).toBe("warning");
    await client.request("fanout.acknowledge", {
      job: id,
      received: { web1: { stdout: 200_000, stderr: 7 } },
    });
    expect((await client.request("fanout.list", { unread: true })).fanouts).toEqual([]);
  });

  test("a receive follows it while it is collected", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await collecting(bench);
    const receiver = new Receiver(client, { job: id, streams: ["stdout"], follow: true });
    job.write("stdout", "one ");
    await until(() => receiver.text("web1") === "one ");
    await bench.cut("web1");
    job.write("stdout", "two");
    job.end();
    await bench.connect("web1");
    await receiver.finished;
    expect(receiver.text("web1")).toBe("one two");
    expect(receiver.changed.some(({ unreachableSince }) => unreachableSince !== undefined)).toBe(true);
  });

  test("killed in the middle, it goes on from what the files hold", async () => {
    await using bench = await Bench.create(["web1"]);
    const { id, job } = await collecting(bench);
    for (let round = 0; round < 3; round++) {
      job.write("stdout", randomBytes(150_000));
      await until(() => bench.services.store.job(id, "web1" as HostName).size("stdout") > round * 150_000);
      await bench.kill();
      await bench.connect("web1");
    }
    job.end();
    await until(() => job.isRemoved, "the acknowledgement");
    const receiver = new Receiver(await bench.client(), { job: id, streams: [...both], follow: true });
    await receiver.finished;
    expect(digest(receiver.bytes("web1"))).toBe(digest(job.output.stdout));
  });

  test("at the limit it pauses: the output stays on the host until there is room", async () => {
    await using bench = await Bench.create(["web1"], { maxCollectedBytes: 1 });
    const first = await collecting(bench);
    first.job.write("stdout", "fills it");
    first.job.end();
    await until(() => first.job.isRemoved);
    const second = await collecting(bench);
    second.job.write("stdout", "waits");
    second.job.end();
    await first.client.request("fanout.wait", { job: second.id, any: false });
    expect(second.job.isRemoved).toBe(false);
    await first.client.request("fanout.remove", { job: first.id, force: false });
    await until(() => second.job.isRemoved, "collecting again");
  });
});

describe("the collected store", () => {
  test("appending is idempotent by offset, whatever is sent again", async () => {
    const output = randomBytes(2_000);
    const piece = fc.tuple(fc.nat({ max: 2_000 }), fc.nat({ max: 600 }));
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), fc.boolean(), async (pieces, reopen) => {
        const root = await mkdtemp(join(tmpdir(), "outpost-store-"));
        try {
          const id = newJobId();
          let job = (await CollectedStore.open(root, 1e9)).job(id, "web1" as HostName);
          for (const [start, length] of pieces) {
            const offset = Math.min(start, job.size("stdout"));
            await job.append("stdout", offset, [output.subarray(offset, offset + length)]);
            if (reopen) job = (await CollectedStore.open(root, 1e9)).job(id, "web1" as HostName);
          }
          const size = job.size("stdout");
          if (size === 0) return;
          const stored = await job.read("stdout", 0, size + 10);
          expect(Buffer.from(stored).equals(output.subarray(0, size))).toBe(true);
        } finally {
          await rm(root, { recursive: true, force: true });
        }
      }),
      { numRuns: 50 },
    );
  });

  test("gaps are kept over a restart, bytes before a hole are refused", async () => {
    const root = await mkdtemp(join(tmpdir(), "outpost-store-"));
    try {
      const id = newJobId();
      const job = (await CollectedStore.open(root, 1e9)).job(id, "web1" as HostName);
      await job.load();
      await job.append("stdout", 0, [Buffer.from("abc")]);
      await expect(job.append("stdout", 5, [Buffer.from("x")])).rejects.toThrow("where 3 was due");
      await job.skip("stdout", { from: 3, to: 10, reason: "evicted" });
      await job.append("stdout", 10, [Buffer.from("def")]);
      const again = (await CollectedStore.open(root, 1e9)).job(id, "web1" as HostName);
      await again.load();
      expect(again.size("stdout")).toBe(13);
      expect(again.gapAt("stdout", 0)).toEqual({ from: 3, to: 10, reason: "evicted" });
      expect(again.gapAt("stdout", 10)).toBeUndefined();
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});
