/** What goes on after the controller was killed, or a host was away. */
import { OutpostError } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

const both = ["stdout", "stderr"] as const;

describe("after kill -9 of the controller", () => {
  test("running jobs are taken up, received ones stay received", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const params = startParams("web*", { name: "nightly" });
    const before = await bench.client();
    await before.request("fanout.start", params);
    await until(() => [...bench.agents.values()].every((agent) => agent.jobs.size === 1));
    const one = bench.agent("web1").job(params.job);
    const two = bench.agent("web2").job(params.job);
    one.write("stdout", "abcdef");
    two.write("stdout", "xyz");
    await before.request("fanout.acknowledge", { job: params.job, received: { web1: { stdout: 3 } } });
    await bench.kill();
    const client = await bench.client();
    expect((await client.request("fanout.show", { job: "nightly" })).fanout).toMatchObject({
      state: "disconnected",
    });
    two.end();
    one.end(4);
    await bench.connect("web1");
    await bench.connect("web2");
    const receiver = new Receiver(client, { job: params.job, streams: [...both], follow: true });
    await receiver.finished;
    expect(receiver.text("web1")).toBe("def");
    expect(receiver.text("web2")).toBe("xyz");
    expect(receiver.done.get("web1")?.info.status).toMatchObject({ state: "failed", exit: { code: 4 } });
    expect((await client.request("fanout.list", {})).fanouts[0]).toMatchObject({
      state: "failed",
      counts: { failed: 1, completed: 1 },
      name: "nightly",
    });
  });

  test("an ended job that was never received is still listed, with its output", async () => {
    await using bench = await Bench.create(["web1"]);
    bench.agent("web1").onStart = (job) => {
      job.write("stdout", "kept");
      job.end();
    };
    const params = startParams("web1");
    await (await bench.client()).request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    await bench.kill();
    await bench.connect("web1");
    const client = await bench.client();
    await client.request("fanout.wait", { job: params.job, any: false });
    await bench.kill();
    await bench.connect("web1");
    const again = await bench.client();
    const { fanouts } = await again.request("fanout.list", { unread: true });
    expect(fanouts).toMatchObject([{ job: params.job, state: "completed", unreadBytes: 4 }]);
    const receiver = new Receiver(again, { job: params.job, streams: [...both], follow: true });
    await receiver.finished;
    expect(receiver.text("web1")).toBe("kept");
  });
});

describe("a start that was cut off", () => {
  test("is sent again when the host is back: one process", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    bench.agent("web1").onStart = () => bench.links.get("web1")!.cut();
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    const [info] = (await client.request("fanout.show", { job: params.job })).jobs;
    expect(info).toMatchObject({ status: { state: "pending" }, unreachableSince: expect.any(Number) });
    // The host forgets it before it could tell: as if the request had never arrived.
    bench.agent("web1").jobs.clear();
    bench.agent("web1").onStart = (job) => job.end();
    await bench.connect("web1");
    await expect(client.request("fanout.wait", { job: params.job, any: false })).resolves.toMatchObject({
      fanout: { state: "completed" },
    });
    expect(bench.agent("web1").jobs.size).toBe(1);
  });

  test("but not after its expiry: certain that it never ran", async () => {
    await using bench = await Bench.create(["web1"], { startExpiryMs: 1 });
    bench.agent("web1").onStart = () => bench.links.get("web1")!.cut();
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    bench.agent("web1").jobs.clear();
    await bench.connect("web1");
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]?.status).toMatchObject({ state: "failed", reason: { code: "expired" } });
  });

  test("ends as the host says when it ran and has ended meanwhile", async () => {
    await using bench = await Bench.create(["web1"]);
    bench.agent("web1").onStart = (job) => {
      bench.links.get("web1")!.cut();
      job.end(7);
    };
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    await bench.connect("web1");
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]?.status).toMatchObject({ state: "failed", exit: { code: 7 } });
    expect(bench.agent("web1").count("job.start")).toBe(1);
  });
});

describe("a host that comes back", () => {
  test("without a job that ran: the job is lost, and the reason says so", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await client.request("fanout.wait", { job: params.job, any: true, timeoutMs: 20 });
    await bench.cut("web1");
    bench.agent("web1").jobs.clear();
    await bench.connect("web1");
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]?.status).toMatchObject({ state: "lost", reason: { code: "forgotten" } });
  });

  test("with a job that it had removed already: it ended as the host remembers", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    await client.request("fanout.wait", { job: params.job, any: true, timeoutMs: 20 });
    await bench.cut("web1");
    const job = bench.agent("web1").job(params.job);
    job.end(5);
    job.isRemoved = true;
    await bench.connect("web1");
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]?.status).toMatchObject({ state: "failed", exit: { code: 5 }, removed: true });
  });

  test("with a job that we do not know: it is left alone", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = startParams("web2");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web2").jobs.size === 1);
    // As if it were ours from a catalogue that was lost.
    const stranger = bench.agent("web2").job(params.job);
    await bench.cut("web1");
    bench.agent("web1").jobs.set(params.job, stranger);
    await bench.connect("web1");
    expect(bench.agent("web1").calls).toEqual([]);
  });
});

describe("stopping and removing", () => {
  test("a running job is stopped, by whom is known", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = startParams("web*");
    await client.request("fanout.start", params);
    await until(() => [...bench.agents.values()].every((agent) => agent.jobs.size === 1));
    await bench.cut("web2");
    const { jobs } = await client.request("fanout.stop", { job: params.job });
    expect(jobs[0]).toMatchObject({ status: { state: "stopped", reason: { by: "alice" } } });
    expect(jobs[1]).toMatchObject({ waiting: "stop", unreachableSince: expect.any(Number) });
    // The wish outlives the controller.
    await bench.kill();
    await bench.connect("web1");
    await bench.connect("web2");
    const again = await bench.client();
    await expect(again.request("fanout.wait", { job: params.job, any: false })).resolves.toMatchObject({
      fanout: { state: "stopped" },
    });
  });

  test("removing needs force while it runs; then it is gone here and there", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = startParams("web*");
    await client.request("fanout.start", params);
    await until(() => [...bench.agents.values()].every((agent) => agent.jobs.size === 1));
    await expect(client.request("fanout.remove", { job: params.job, force: false })).rejects.toMatchObject({
      code: "conflict",
      data: { hosts: ["web1", "web2"] },
    });
    await bench.cut("web2");
    const { jobs } = await client.request("fanout.remove", { job: params.job, force: true });
    expect(jobs.map(({ waiting }) => waiting)).toEqual([undefined, "remove"]);
    expect(bench.agent("web1").job(params.job).isRemoved).toBe(true);
    await expect(client.request("fanout.show", { job: params.job })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(client.request("fanout.start", params)).rejects.toBeInstanceOf(OutpostError);
    expect((await client.request("fanout.list", {})).fanouts).toEqual([]);
    await bench.connect("web2");
    await until(() => bench.agent("web2").job(params.job).isRemoved, "the removal");
    await until(() => bench.services.catalogue.fanOuts.byId(params.job) === undefined, "forgetting");
  });
});
