import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import type { HostName } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

const both = ["stdout", "stderr"] as const;

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A job that runs on web1 until the test ends it. */
async function running(bench: Bench, more = {}) {
  const client = await bench.client();
  const params = startParams("web1", more);
  await client.request("fanout.start", params);
  await until(() => bench.agent("web1").jobs.has(params.job), "the start");
  return { client, id: params.job, job: bench.agent("web1").job(params.job) };
}

describe("the relay", () => {
  test("the host never gets more credit than the operator gave", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await running(bench);
    job.write("stdout", randomBytes(1_000_000));
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true, window: 20_000 });
    receiver.isGranting = false;
    await until(() => receiver.bytes("web1").byteLength === 20_000);
    // Time for anything that should not come.
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(receiver.bytes("web1").byteLength).toBe(20_000);
    receiver.streams.get("web1/stdout")!.grant(30_001);
    await until(() => receiver.bytes("web1").byteLength === 30_001);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(receiver.bytes("web1").byteLength).toBe(30_001);
    receiver.isGranting = true;
    receiver.grantAll();
    job.end();
    await receiver.finished;
    expect(digest(receiver.bytes("web1"))).toBe(digest(job.output.stdout));
  });

  test("a slow stream does not hold up the other, nor a slow operator another one", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await running(bench);
    job.write("stdout", randomBytes(200_000));
    job.write("stderr", "still here");
    const slow = new Receiver(client, { job: id, streams: [...both], follow: true, window: 16_384 });
    slow.isGranting = false;
    await until(() => slow.text("web1", "stderr") === "still here");
    const quick = new Receiver(client, { job: id, streams: ["stdout"], follow: false });
    await quick.finished;
    expect(digest(quick.bytes("web1"))).toBe(digest(job.output.stdout));
    expect(slow.bytes("web1").byteLength).toBe(16_384);
  });

  test("after a cut in the middle the operator's stream goes on, and says so", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await running(bench);
    job.write("stdout", randomBytes(100_000));
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true, window: 30_000 });
    receiver.isGranting = false;
    await until(() => receiver.bytes("web1").byteLength === 30_000);
    await bench.cut("web1");
    await until(
      () => receiver.changed.some(({ unreachableSince }) => unreachableSince !== undefined),
      "the notice",
    );
    expect((await client.request("fanout.show", { job: id })).fanout.state).toBe("disconnected");
    job.write("stdout", randomBytes(50_000));
    job.end();
    await bench.connect("web1");
    await until(() => receiver.changed.at(-1)?.unreachableSince === undefined || receiver.done.size > 0);
    // Without new credit from the operator, not one byte more.
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(receiver.bytes("web1").byteLength).toBe(30_000);
    receiver.isGranting = true;
    receiver.grantAll();
    await receiver.finished;
    expect(digest(receiver.bytes("web1"))).toBe(digest(job.output.stdout));
    // One for each stream, before and after the cut.
    expect(receiver.order.filter((event) => event === "receive.opened")).toHaveLength(2);
    expect(receiver.order.at(-1)).toBe("receive.done");
  });

  test("whatever is written and whenever it is cut: every byte once, in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.record({ write: fc.integer({ min: 1, max: 40_000 }), stream: fc.constantFrom(...both) }),
            fc.constant("cut" as const),
            fc.constant("pause" as const),
          ),
          { maxLength: 12 },
        ),
        fc.integer({ min: 16_384, max: 60_000 }),
        async (steps, window) => {
          await using bench = await Bench.create(["web1"]);
          const { client, id, job } = await running(bench);
          const receiver = new Receiver(client, { job: id, streams: [...both], follow: true, window });
          for (const step of steps) {
            if (step === "cut") {
              await bench.cut("web1");
              await bench.connect("web1");
            } else if (step === "pause") await new Promise((resolve) => setTimeout(resolve, 1));
            else job.write(step.stream, randomBytes(step.write));
          }
          job.end();
          await receiver.finished;
          for (const name of both)
            expect(digest(receiver.bytes("web1", name))).toBe(digest(job.output[name]));
        },
      ),
      { numRuns: 25 },
    );
  });

  test("an operator that goes away ends the reading on the host, and nothing else", async () => {
    await using bench = await Bench.create(["web1"]);
    const { id, job } = await running(bench);
    const gone = await bench.client();
    const receiver = new Receiver(gone, { job: id, streams: [...both], follow: true });
    job.write("stdout", "one");
    await until(() => receiver.text("web1") === "one");
    await gone.close("lid closed");
    job.write("stdout", "two");
    job.end();
    const client = await bench.client();
    const again = new Receiver(client, { job: id, streams: [...both], follow: true });
    await again.finished;
    expect(again.text("web1")).toBe("onetwo");
    await expect(receiver.finished).rejects.toMatchObject({ code: "disconnected" });
  });

  test("cancelling ends it", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id } = await running(bench);
    const cancel = new AbortController();
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true }, cancel.signal);
    await until(() => bench.agent("web1").count("job.read") === 1);
    cancel.abort();
    await expect(receiver.finished).rejects.toMatchObject({ code: "cancelled" });
    await expect(client.request("host.list", {})).resolves.toMatchObject({ hosts: [{ state: "connected" }] });
  });

  test("with many hosts the host's credit is its share of the budget, however much the operator grants", async () => {
    await using bench = await Bench.create(["web1"], { relayBudgetBytes: 40_000 });
    const { client, id, job } = await running(bench);
    job.write("stdout", randomBytes(900_000));
    job.end();
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true, window: 1_000_000 });
    await receiver.finished;
    expect(digest(receiver.bytes("web1"))).toBe(digest(job.output.stdout));
  });

  test("without `follow`: what is there, then how it stands", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = startParams("web*");
    await client.request("fanout.start", params);
    await until(() => [...bench.agents.values()].every((agent) => agent.jobs.size === 1));
    bench.agent("web1").job(params.job).write("stdout", "so far");
    await bench.cut("web2");
    const receiver = new Receiver(client, { job: params.job, streams: [...both], follow: false });
    await receiver.finished;
    expect(receiver.text("web1")).toBe("so far");
    expect(receiver.done.get("web1")?.info.status.state).toBe("running");
    expect(receiver.done.get("web2")?.info.unreachableSince).toBeTypeOf("number");
  });
});

describe("acknowledging", () => {
  test("the next receive begins where the last one ended; a fully received job goes from the host", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await running(bench);
    job.write("stdout", "0123456789");
    job.end();
    await client.request("fanout.wait", { job: id, any: false });
    expect((await client.request("fanout.list", {})).fanouts[0]?.unreadBytes).toBe(10);
    await client.request("fanout.acknowledge", { job: id, received: { web1: { stdout: 4 } } });
    const rest = new Receiver(client, { job: id, streams: [...both], follow: true });
    await rest.finished;
    expect(rest.text("web1")).toBe("456789");
    const whole = new Receiver(client, { job: id, streams: [...both], follow: true, fromStart: true });
    await whole.finished;
    expect(whole.text("web1")).toBe("0123456789");
    const given = new Receiver(client, {
      job: id,
      streams: [...both],
      follow: true,
      from: { ["web1" as HostName]: { stdout: 8 } },
    });
    await given.finished;
    expect(given.text("web1")).toBe("89");
    await client.request("fanout.acknowledge", { job: id, received: { web1: { stdout: 999 } } });
    await until(() => job.isRemoved, "the removal on the host");
    expect((await client.request("fanout.list", { unread: true })).fanouts).toEqual([]);
    const late = new Receiver(client, { job: id, streams: [...both], follow: true, fromStart: true });
    await late.finished;
    expect(late.gaps).toEqual([
      { host: "web1", name: "stdout", gap: { from: 0, to: 10, reason: "received" } },
    ]);
  });

  test("one that did not reach the host is sent again when it is back", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, job } = await running(bench);
    job.write("stdout", "0123456789");
    job.end();
    await client.request("fanout.wait", { job: id, any: false });
    await bench.cut("web1");
    await client.request("fanout.acknowledge", { job: id, received: { web1: { stdout: 10 } } });
    await bench.kill();
    await bench.connect("web1");
    await until(() => job.isRemoved, "the acknowledgement");
  });
});
