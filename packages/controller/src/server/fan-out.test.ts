import { createHash, randomBytes } from "node:crypto";
import { OutpostError } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

const both = ["stdout", "stderr"] as const;

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("start and receive", () => {
  test("a receive right behind the start, without waiting for its answer: one request per host, the output in `done`", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    for (const agent of bench.agents.values()) {
      agent.onStart = (job) => {
        job.write("stdout", `hello from ${job.params.job}`);
        job.end();
      };
    }
    const client = await bench.client();
    const params = startParams("web*", { receiving: true });
    const started = client.request("fanout.start", params);
    const receiver = new Receiver(client, { job: params.job, streams: [...both], follow: true });
    const { fanout, hosts } = await started;
    expect(fanout).toMatchObject({ operator: "alice", command: "true", state: "pending", hosts: 2 });
    expect(hosts).toEqual([
      { host: "web1", state: "connected" },
      { host: "web2", state: "connected" },
    ]);
    await expect(receiver.finished).resolves.toMatchObject({
      fanout: { state: "completed", counts: { completed: 2 } },
    });
    expect(receiver.text("web1")).toBe(`hello from ${params.job}`);
    expect(receiver.text("web2")).toBe(`hello from ${params.job}`);
    expect(receiver.done.get("web1")).toMatchObject({ info: { status: { exit: { code: 0 } } } });
    expect(bench.agent("web1").calls).toEqual(["job.start"]);
    expect(receiver.order).toEqual(["receive.done", "receive.done"]);
  });

  test("output that is too long to come along, and jobs that go on, are read from the host", async () => {
    await using bench = await Bench.create(["web1"], { inlineWaitMs: 10 });
    const output = randomBytes(300_000);
    bench.agent("web1").onStart = (job) => {
      job.write("stdout", output.subarray(0, 100_000));
      setTimeout(() => {
        job.write("stdout", output.subarray(100_000));
        job.write("stderr", "oops");
        job.end(3);
      }, 30);
    };
    const client = await bench.client();
    const params = startParams("web1", { receiving: true });
    void client.request("fanout.start", params);
    const receiver = new Receiver(client, { job: params.job, streams: [...both], follow: true });
    await expect(receiver.finished).resolves.toMatchObject({ fanout: { state: "failed" } });
    expect(digest(receiver.bytes("web1"))).toBe(digest(output));
    expect(receiver.text("web1", "stderr")).toBe("oops");
    expect(receiver.done.get("web1")?.info.status).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(receiver.changed.map(({ status }) => status.state)).toEqual(["running"]);
  });

  test("asked twice with one id, it starts once", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    const [first, second] = await Promise.all([
      client.request("fanout.start", params),
      client.request("fanout.start", params),
    ]);
    expect(second.fanout.createdAt).toBe(first.fanout.createdAt);
    await until(() => bench.agent("web1").jobs.size === 1);
    expect(bench.agent("web1").count("job.start")).toBe(1);
  });

  test("an unreachable host fails at once, the others go on", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    bench.agent("web1").onStart = (job) => job.end();
    await bench.cut("web2");
    const client = await bench.client();
    const params = startParams("web1,web2", { receiving: true });
    void client.request("fanout.start", params);
    const receiver = new Receiver(client, { job: params.job, streams: [...both], follow: true });
    await receiver.finished;
    expect(receiver.done.get("web1")?.info.status.state).toBe("completed");
    expect(receiver.done.get("web2")?.info).toMatchObject({
      status: { state: "failed", reason: { code: "host_unreachable" } },
    });
    expect(receiver.done.get("web2")?.info.unreachableSince).toBeUndefined();
  });

  test("a host that refuses says why", async () => {
    await using bench = await Bench.create(["web1"]);
    bench.agent("web1").refuseStart = new OutpostError(
      "limit_exceeded",
      "100 jobs run already (maxRunningJobs)",
    );
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]?.status).toMatchObject({
      state: "failed",
      reason: { code: "refused", message: "100 jobs run already (maxRunningJobs)" },
    });
  });

  test("wrong targets, unknown jobs and hosts have clear errors", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    await expect(client.request("fanout.start", startParams("web2"))).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(client.request("fanout.show", { job: "nonsense" })).rejects.toThrow(
      "there is no job nonsense",
    );
    const params = startParams("web1", { name: "nightly" });
    await client.request("fanout.start", params);
    await expect(client.request("fanout.stop", { job: params.job, hosts: ["db1"] })).rejects.toThrow(
      "does not run on db1",
    );
    for (const text of [params.job, params.job.slice(0, 6), "nightly"]) {
      expect((await client.request("fanout.show", { job: text })).fanout.job).toBe(params.job);
    }
    await client.request("fanout.start", startParams("web1", { name: "nightly" }));
    await expect(client.request("fanout.show", { job: "nightly" })).rejects.toMatchObject({
      code: "conflict",
    });
  });
});
