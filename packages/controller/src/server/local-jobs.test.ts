/** Jobs that were started on a host itself, as the controller finds and shows them. */
import { type JobOrigin, newJobId } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { noOutput } from "./job-status.ts";
import { LocalJobAllowance } from "./local-job-allowance.ts";
import { adoptLocalJob } from "./local-jobs.ts";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

const both = ["stdout", "stderr"] as const;
const origin: JobOrigin = { user: "root", command: "make -j4", name: "build", acceptedAt: 1_000 };

/** What operators see of a job. */
async function shown(bench: Bench, job: string) {
  const client = await bench.client();
  return client.request("fanout.show", { job });
}

test("one that begins while the host is connected is listed at once, as USER@HOST's", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  const job = bench.agent("web1").startLocally(origin);
  const client = await bench.client();
  await until(() => bench.services.fanOuts.find(job.params.job) !== undefined);
  expect((await client.request("fanout.list", {})).fanouts).toMatchObject([
    {
      job: job.params.job,
      name: "build",
      operator: "root@web1",
      command: "make -j4",
      mode: "keep",
      createdAt: 1_000,
      state: "running",
      hosts: 1,
    },
  ]);
  expect(await shown(bench, "build")).toMatchObject({
    jobs: [{ host: "web1", status: { state: "running", startedAt: 1_000, origin } }],
  });
});

test("those of while it was away come with its inventory, ended ones too, and are still there after a kill", async () => {
  await using bench = await Bench.create(["web1"]);
  const agent = bench.agent("web1");
  await bench.cut("web1");
  const ended = agent.startLocally({ ...origin, name: "ended" });
  ended.write("stdout", "abcdef");
  ended.received.stdout = 2;
  ended.end(7);
  const running = agent.startLocally({ ...origin, name: "running" });
  await bench.connect("web1");
  expect(await shown(bench, "ended")).toMatchObject({
    fanout: { job: ended.params.job, state: "failed", unreadBytes: 4, endedAt: 2_000 },
    jobs: [{ status: { state: "failed", exit: { code: 7 } } }],
  });
  bench.services.fanOuts.flush();
  await bench.kill();
  await bench.connect("web1");
  expect(await shown(bench, "ended")).toMatchObject({ fanout: { state: "failed", unreadBytes: 4 } });
  expect(await shown(bench, "running")).toMatchObject({ fanout: { state: "running" } });
  running.end();
  await until(() => bench.services.fanOuts.find(running.params.job)!.isEnded);
});

test("one whose adoption a power failure took is adopted again", async () => {
  await using bench = await Bench.create(["web1"]);
  const { job } = bench.agent("web1").startLocally(origin).params;
  await until(() => bench.services.fanOuts.find(job) !== undefined);
  const { catalogue } = bench.services;
  catalogue.transaction("synced", () => catalogue.fanOuts.delete(job));
  await bench.kill();
  await bench.connect("web1");
  expect(await shown(bench, "build")).toMatchObject({ fanout: { job, state: "running" } });
});

describe("it is a job like any other", () => {
  test("received, in parts by both sides, and then gone", async () => {
    await using bench = await Bench.create(["web1"]);
    const agent = bench.agent("web1");
    const job = agent.startLocally(origin);
    const id = job.params.job;
    job.write("stdout", "one two ");
    // Somebody on the host has received the beginning.
    job.received.stdout = 4;
    await bench.cut("web1");
    await bench.connect("web1");
    const client = await bench.client();
    const receiver = new Receiver(client, { job: id, streams: [...both], follow: true });
    await until(() => receiver.text("web1") === "two ");
    job.write("stdout", "three");
    job.end();
    await receiver.finished;
    expect(receiver.text("web1")).toBe("two three");
    await client.request("fanout.acknowledge", { job: id, received: { web1: { stdout: 13, stderr: 0 } } });
    await until(() => job.isRemoved);
    expect(await shown(bench, "build")).toMatchObject({ fanout: { state: "completed", unreadBytes: 0 } });
  });

  test("waited for, stopped and removed", async () => {
    await using bench = await Bench.create(["web1"]);
    const job = bench.agent("web1").startLocally(origin);
    const id = job.params.job;
    await until(() => bench.services.fanOuts.find(id) !== undefined);
    const client = await bench.client();
    const waiting = client.request("fanout.wait", { job: id, any: false });
    await client.request("fanout.stop", { job: id });
    expect(await waiting).toMatchObject({ ended: true, fanout: { state: "stopped" } });
    expect(job.reason).toMatchObject({ by: "alice" });
    await client.request("fanout.remove", { job: id, force: false });
    expect(job.isRemoved).toBe(true);
    await until(() => bench.services.fanOuts.find(id) === undefined);
    // The last that the host says of it does not bring it back, and neither does its next inventory.
    bench.agent("web1").peer!.notify("job.changed", { status: job.status });
    await bench.cut("web1");
    await bench.connect("web1");
    expect((await client.request("fanout.list", {})).fanouts).toEqual([]);
  });

  test("removed while its host is away, it is removed there when it is back", async () => {
    await using bench = await Bench.create(["web1"]);
    const job = bench.agent("web1").startLocally(origin);
    job.end();
    await until(() => bench.services.fanOuts.find(job.params.job)?.isEnded === true);
    await bench.cut("web1");
    const client = await bench.client();
    await client.request("fanout.remove", { job: job.params.job, force: false });
    await bench.connect("web1");
    await until(() => job.isRemoved);
    await until(() => bench.services.fanOuts.find(job.params.job) === undefined);
  });
});

test("one that was wholly received on its host is shown as received", async () => {
  await using bench = await Bench.create(["web1"]);
  const agent = bench.agent("web1");
  const job = agent.startLocally(origin);
  job.write("stdout", "abc");
  job.end();
  await until(() => bench.services.fanOuts.find(job.params.job)?.isEnded === true);
  job.received.stdout = 3;
  job.isRemoved = true;
  agent.peer!.notify("job.changed", { status: job.status });
  await until(() => bench.services.fanOuts.find(job.params.job)?.job("web1" as never)?.isHeld === false);
  expect(await shown(bench, "build")).toMatchObject({
    fanout: { state: "completed", unreadBytes: 0 },
    jobs: [{ status: { removed: true } }],
  });
});

test("operators' jobs that the catalogue does not know are left alone", async () => {
  await using bench = await Bench.create(["web1"]);
  const agent = bench.agent("web1");
  const params = startParams("web1");
  await (await bench.client()).request("fanout.start", params);
  await until(() => agent.jobs.size === 1);
  const { catalogue } = bench.services;
  catalogue.transaction("synced", () => catalogue.fanOuts.delete(params.job));
  await bench.kill();
  await bench.connect("web1");
  agent.job(params.job).end();
  const client = await bench.client();
  expect((await client.request("fanout.list", {})).fanouts).toEqual([]);
  expect(agent.count("job.stop") + agent.count("job.remove")).toBe(0);
});

test("one with the id of another host's job is left alone, and so is that job", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  const params = startParams("web1");
  const client = await bench.client();
  await client.request("fanout.start", params);
  const other = bench.agent("web2").startLocally(origin, params.job);
  await bench.cut("web2");
  await bench.connect("web2");
  other.end(9);
  const { fanout, jobs } = await shown(bench, params.job);
  expect(fanout).toMatchObject({ operator: "alice", state: "running", hosts: 1 });
  expect(jobs.map(({ host }) => host)).toEqual(["web1"]);
});

test("what a host says is cut, without control characters, and not of the future", async () => {
  await using bench = await Bench.create(["web1"]);
  const job = newJobId();
  bench.agent("web1").startLocally(
    {
      user: "a\u001b[2J".padEnd(200, "x"),
      command: "b\u0007".padEnd(200, "y"),
      name: "n\u001b]0;owned\u0007",
      acceptedAt: Date.now() + 1_000_000_000,
    },
    job,
  );
  await until(() => bench.services.fanOuts.find(job) !== undefined);
  const { fanout } = await shown(bench, job);
  expect(fanout.operator).toMatch(/^a�\[2Jx{58}…@web1$/);
  expect(fanout.command).toMatch(/^b�y{117}…$/);
  expect(fanout.name).toBe("n�]0;owned�");
  expect(fanout.createdAt).toBeLessThanOrEqual(Date.now());
});

test("a host that reports jobs without end fills neither catalogue nor memory", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  let now = 0;
  const { catalogue, presence, fanOuts } = bench.services;
  const localJobs = new LocalJobAllowance({ catalogue, clock: { monotonicMs: () => now }, most: 3 });
  const adopt = (name: string): boolean => {
    const status = { job: newJobId(), state: "running", output: noOutput(), origin } as const;
    const host = presence.hostNamed(name as never)!;
    return adoptLocalJob({ ...bench.services, localJobs }, host, status) !== undefined;
  };
  expect([1, 2, 3, 4, 5].map(() => adopt("web1"))).toEqual([true, true, true, false, false]);
  expect(adopt("web2")).toBe(true);
  // Later, too, as long as those are there; a host that has fewer may report more.
  now = 60 * 60 * 1000;
  expect(adopt("web1")).toBe(false);
  expect([1, 2, 3].map(() => adopt("web2"))).toEqual([true, true, false]);
  expect([...fanOuts.unfinished()]).toHaveLength(6);
});

test("a host that says impossible numbers breaks no list, and keeps no controller from starting", async () => {
  await using bench = await Bench.create(["web1"]);
  const most = Number.MAX_SAFE_INTEGER;
  const extent = { written: most, received: 0 };
  const job = newJobId();
  const status = { job, origin, output: { stdout: extent, stderr: extent }, startedAt: most } as const;
  const agent = bench.agent("web1").peer!;
  agent.notify("job.changed", { status: { ...status, state: "running" } });
  await until(() => bench.services.fanOuts.find(job) !== undefined);
  const listed = async () => (await (await bench.client()).request("fanout.list", {})).fanouts;
  expect(await listed()).toMatchObject([{ job, state: "running", unreadBytes: most }]);
  bench.services.fanOuts.flush();
  await bench.kill();
  expect(await listed()).toMatchObject([{ job, unreadBytes: most }]);
  await bench.connect("web1");
  const reason = { code: "timed_out", message: "x".repeat(100_000) } as const;
  const ended = { ...status, state: "failed", endedAt: most, reason } as const;
  bench.agent("web1").peer!.notify("job.changed", { status: ended });
  await until(() => bench.services.fanOuts.find(job)!.isEnded);
  bench.services.fanOuts.flush();
  const { fanout, jobs } = await shown(bench, job);
  expect(fanout.endedAt).toBeLessThanOrEqual(Date.now());
  // What is shown as a date can be one.
  expect(new Date(jobs[0]!.status.endedAt!).getTime()).toBe(jobs[0]!.status.endedAt);
  expect(jobs[0]!.status.reason!.message).toHaveLength(1_000);
});

test("a full disk fails no inventory: the job is adopted later", async () => {
  await using bench = await Bench.create(["web1"]);
  await bench.cut("web1");
  const { job } = bench.agent("web1").startLocally(origin).params;
  const { fanOuts } = bench.services;
  const create = fanOuts.create.bind(fanOuts);
  fanOuts.create = () => {
    throw new Error("the disk is full");
  };
  await bench.connect("web1");
  expect(fanOuts.find(job)).toBeUndefined();
  fanOuts.create = create;
  await bench.cut("web1");
  await bench.connect("web1");
  expect(fanOuts.find(job)).toBeDefined();
});
