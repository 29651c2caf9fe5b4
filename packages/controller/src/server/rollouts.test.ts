/** Roll-outs and queued starts in a whole controller: every option, hosts that are away, and a controller that dies. */
import {
  type FanOutInfo,
  type FanOutStartParams,
  type JobId,
  limits,
  newJobId,
  type RolloutInfo,
} from "@outpost/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { type BenchSettings, Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import type { FakeJob } from "./testing/fake-agent.ts";
import { Receiver } from "./testing/receiver.ts";

let bench: Bench;
let client: OperatorClient;
afterEach(() => bench[Symbol.asyncDispose]());

const names = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `web${String(index + 1)}`);

async function open(count: number, settings: BenchSettings = {}): Promise<void> {
  bench = await Bench.create(names(count), settings);
  client = await bench.client();
}

const everywhere = (more: Partial<FanOutStartParams> = {}): FanOutStartParams =>
  startParams("role=web", more);
const shell = (text: string): FanOutStartParams["spec"] => ({
  command: { kind: "shell", text },
  env: {},
  input: { kind: "none" },
});

/** The jobs of that id on the fake hosts, in the order of the hosts. */
function held(id: JobId): FakeJob[] {
  return [...bench.agents.values()].flatMap((agent) => agent.jobs.get(id) ?? []);
}
const on = (id: JobId): string[] =>
  [...bench.agents].flatMap(([name, agent]) => (agent.jobs.has(id) ? [name] : []));
async function begun(id: JobId, hosts: readonly string[]): Promise<void> {
  await until(() => on(id).join() === hosts.join(), `${hosts.join()} begun (${on(id).join()})`).catch(() =>
    expect(on(id)).toEqual(hosts),
  );
}
const end = (id: JobId, code = 0): void => held(id).forEach((job) => job.isEnded || job.end(code));

function info(id: JobId): FanOutInfo {
  return bench.services.fanOuts.get(id).info(bench.services.bus);
}
const rollout = (id: JobId): RolloutInfo => info(id).rollout!;
async function stands(id: JobId, expected: Partial<RolloutInfo>): Promise<void> {
  const fits = (): boolean => {
    const now = rollout(id);
    return Object.entries(expected).every(([key, value]) => now[key as keyof RolloutInfo] === value);
  };
  await until(fits, JSON.stringify(expected)).catch(() => expect(rollout(id)).toMatchObject(expected));
}

const receive = (job: JobId): Receiver =>
  new Receiver(client, { job, streams: ["stdout", "stderr"], follow: true, rollout: true });

async function jobsOf(id: JobId) {
  return (await client.request("fanout.show", { job: id })).jobs;
}

async function reconnect(): Promise<void> {
  await bench.kill();
  client = await bench.client();
  await Promise.all([...bench.agents.keys()].map((name) => bench.connect(name)));
}

describe("a roll-out", () => {
  test("has at most so many hosts at a time, in their order", async () => {
    await open(12);
    const params = everywhere({ rollout: { concurrency: { percent: 20 } } });
    const { fanout, hosts } = await client.request("fanout.start", params);
    expect(hosts.map(({ host }) => host)).toEqual(names(12));
    expect(fanout).toMatchObject({
      state: "running",
      rollout: { state: "running", stage: 1, stages: 1, begun: 3, waiting: 9, failures: 0 },
    });
    await begun(params.job, ["web1", "web2", "web3"]);
    const jobs = await jobsOf(params.job);
    expect(jobs.map(({ queued }) => queued)).toEqual([
      ...Array<undefined>(3).fill(undefined),
      ...Array<string>(9).fill("rollout"),
    ]);
    bench.agent("web2").job(params.job).end();
    await begun(params.job, ["web1", "web2", "web3", "web4"]);
    for (const agent of bench.agents.values()) agent.onStart = (job) => job.end();
    end(params.job);
    await stands(params.job, { state: "done", begun: 12, waiting: 0 });
    expect(info(params.job).state).toBe("completed");
  });

  test("at random is in the order of its seed", async () => {
    await open(8);
    const order = { kind: "random", seed: 7 } as const;
    const plans = [];
    for (const _ of [1, 2]) {
      const params = everywhere({ rollout: { order, concurrency: { hosts: 1 } } });
      plans.push((await client.request("fanout.start", params)).hosts.map(({ host }) => host));
      await begun(params.job, [plans.at(-1)![0]!]);
    }
    expect(plans[0]).toEqual(plans[1]);
    expect(plans[0]).not.toEqual(names(8));
  });

  test("is checked stage by stage; a host that fails its check has failed, and nothing more begins", async () => {
    await open(6);
    const check = newJobId();
    const params = everywhere({
      name: "upgrade",
      rollout: { canary: { hosts: 1 }, batch: { hosts: 3 } },
      check: { job: check, spec: shell("curl localhost") },
    });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    end(params.job);
    await begun(check, ["web1"]);
    await stands(params.job, { state: "waiting", reason: "check", stage: 1, stages: 3, check });
    expect(on(params.job)).toEqual(["web1"]);
    end(check);
    await begun(params.job, ["web1", "web2", "web3", "web4"]);
    const web4 = bench.agent("web4").job(params.job);
    web4.end(1);
    await stands(params.job, { state: "stopped", reason: "max_failures", failures: 1, maxFailures: 0 });
    end(params.job);
    await until(() => info(params.job).endedAt !== undefined);
    expect((await jobsOf(params.job)).map(({ status }) => status.reason?.code ?? status.state)).toEqual([
      "completed",
      "completed",
      "completed",
      "failed",
      "not_begun",
      "not_begun",
    ]);
    expect((await jobsOf(check)).map(({ status }) => status.reason?.code ?? status.state)).toEqual([
      "completed",
      ...Array<string>(5).fill("not_begun"),
    ]);
    expect(info(check)).toMatchObject({ name: "upgrade check", state: "stopped", counts: { stopped: 5 } });
    const requests = (await bench.audited()).filter(({ action }) => action === "invoke");
    expect(requests.filter(({ what }) => what === "curl localhost")).toMatchObject([
      { subject: check, decision: "allowed", hosts: names(6) },
    ]);
    expect(
      requests.filter(({ subject, outcome }) => subject === check && outcome !== undefined),
    ).toHaveLength(1);
  });

  test("that is checked at last is over when that is, and a receive hears it", async () => {
    await open(2);
    const check = newJobId();
    const params = everywhere({ check: { job: check, spec: shell("true") }, receiving: true });
    await client.request("fanout.start", params);
    const receiver = receive(params.job);
    await begun(params.job, ["web1", "web2"]);
    end(params.job);
    await begun(check, ["web1", "web2"]);
    await until(() => receiver.done.size === 2);
    expect(info(params.job).state).toBe("completed");
    await expect(client.request("fanout.remove", { job: params.job, force: false })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("the check of"),
    });
    bench.agent("web1").job(check).end();
    bench.agent("web2").job(check).end(3);
    const { fanout } = (await receiver.finished) as { fanout: FanOutInfo };
    expect(fanout.rollout).toMatchObject({ state: "stopped", reason: "max_failures", failures: 1 });
    expect(receiver.rollouts.map(({ state, reason }) => [state, reason].join(" ").trim())).toEqual([
      "running",
      "waiting check",
      "stopped max_failures",
    ]);
    // It is remembered when everything of it has left the memory.
    await until(() => [...bench.services.fanOuts.unfinished()].length === 0);
    const { fanouts } = await client.request("fanout.list", {});
    expect(fanouts.find(({ job }) => job === params.job)?.rollout).toEqual(fanout.rollout);
  });

  test("waits between stages for its time and for somebody's word; whoever confirms one stage confirms no other", async () => {
    await open(3);
    const params = everywhere({ rollout: { batch: { hosts: 1 }, pauseMs: 60_000, confirm: true } });
    const { job } = params;
    await client.request("fanout.start", params);
    await begun(job, ["web1"]);
    end(job);
    await stands(job, { state: "waiting", reason: "pause", stage: 1 });
    expect(rollout(job).until).toBeGreaterThan(Date.now());
    await client.request("fanout.resume", { job, stage: 1 });
    await expect(client.request("fanout.resume", { job, stage: 1 })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("but in stage 2 of 3"),
    });
    await expect(client.request("fanout.resume", { job })).rejects.toMatchObject({
      message: expect.stringContaining("it goes on by itself"),
    });
    await begun(job, ["web1", "web2"]);
    await client.request("fanout.pause", { job });
    end(job);
    await until(() => info(job).counts["completed"] === 2);
    expect(info(job)).toMatchObject({
      state: "pending",
      rollout: { state: "paused", reason: "operator", by: "alice" },
    });
    const { fanout } = await client.request("fanout.resume", { job });
    expect(fanout.rollout).toMatchObject({ state: "waiting", reason: "pause" });
    await client.request("fanout.resume", { job });
    await begun(job, names(3));
    end(job);
    await stands(job, { state: "done" });
    for (const method of ["fanout.pause", "fanout.resume"] as const) {
      await expect(client.request(method, { job })).rejects.toMatchObject({ code: "conflict" });
    }
    expect((await bench.audited()).filter(({ what }) => what?.includes("its roll-out") === true).length).toBe(
      8,
    );
  });

  test("is stopped: for some hosts by name, or all of it", async () => {
    await open(4);
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    const { job } = params;
    await client.request("fanout.start", params);
    const receiver = receive(job);
    await begun(job, ["web1"]);
    const some = await client.request("fanout.stop", { job, hosts: ["web2"] });
    expect(some.jobs).toMatchObject([
      { status: { state: "stopped", reason: { code: "stopped", by: "alice" } } },
    ]);
    end(job);
    await begun(job, ["web1", "web3"]);
    const stopped = await client.request("fanout.stop", { job });
    expect(stopped.jobs.map(({ status }) => status.reason?.code)).toEqual([
      undefined,
      "stopped",
      "stopped",
      "not_begun",
    ]);
    await stands(job, { state: "stopped", reason: "operator", by: "alice" });
    end(job);
    await receiver.finished;
    expect(receiver.rollouts.map(({ state, waiting }) => [state, waiting])).toEqual([
      ["running", 3],
      ["stopped", 0],
    ]);
    expect(on(job)).toEqual(["web1", "web3"]);
  });

  test("of an operator who may not any more begins nothing more", async () => {
    await open(3);
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    await bench.setPolicy("rules:\n  - name: look\n    operators: ['*']\n    actions: [job.read]\n");
    end(params.job);
    await stands(params.job, { state: "done", failures: 2 });
    expect(on(params.job)).toEqual(["web1"]);
    const jobs = await jobsOf(params.job);
    expect(jobs.map(({ status }) => status.reason?.code)).toEqual([undefined, "denied", "denied"]);
  });

  test("of an operator who was removed is stopped; what runs goes on", async () => {
    await open(2);
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    bench.services.rollouts.operatorRemoved("alice", "bob");
    expect(info(params.job)).toMatchObject({ rollout: { state: "stopped", by: "bob" } });
    end(params.job);
    await until(() => info(params.job).endedAt !== undefined);
    expect(info(params.job).counts).toEqual({ completed: 1, stopped: 1 });
  });

  test("goes on where it was when the controller has been killed", async () => {
    await open(5);
    const check = newJobId();
    const params = everywhere({
      rollout: { canary: { hosts: 1 }, batch: { hosts: 2 }, confirm: true },
      check: { job: check, spec: shell("true") },
    });
    const { job } = params;
    await client.request("fanout.start", params);
    await begun(job, ["web1"]);
    await reconnect();
    expect(rollout(job)).toMatchObject({ state: "running", begun: 1, waiting: 4, stage: 1 });
    end(job);
    await begun(check, ["web1"]);
    await reconnect();
    end(check);
    await stands(job, { state: "paused", reason: "confirm", stage: 1 });
    await reconnect();
    await stands(job, { state: "paused", reason: "confirm", stage: 1 });
    await client.request("fanout.resume", { job, stage: 1 });
    await reconnect();
    await begun(job, ["web1", "web2", "web3"]);
    await client.request("fanout.pause", { job });
    await reconnect();
    await stands(job, { state: "paused", reason: "operator", by: "alice", stage: 2 });
    await client.request("fanout.resume", { job });
    end(job);
    await begun(check, ["web1", "web2", "web3"]);
    end(check);
    await stands(job, { state: "paused", reason: "confirm", stage: 2 });
    for (const agent of bench.agents.values()) agent.onStart = (each) => each.end();
    await client.request("fanout.resume", { job });
    await stands(job, { state: "done" });
    // A start may come twice, when it is not known whether it arrived; what it starts does not.
    expect([info(job), info(check)].map(({ counts }) => counts)).toEqual([
      { completed: 5 },
      { completed: 5 },
    ]);
  });

  test("that was begun in the catalogue and not sent is sent when the host is back", async () => {
    await open(2);
    bench.agent("web1").losesStart = true;
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").count("job.start") === 1);
    await reconnect();
    await begun(params.job, ["web1"]);
    end(params.job);
    await begun(params.job, ["web1", "web2"]);
  });

  test("whose secrets a restart has taken begins nowhere else", async () => {
    await open(2);
    const secrets = { salt: new Uint8Array(32), env: { PASSWORD: "x" }, files: {} };
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } }, secrets });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    await reconnect();
    end(params.job);
    await stands(params.job, { state: "done", failures: 1 });
    expect((await jobsOf(params.job))[1]!.status.reason).toMatchObject({
      code: "refused",
      message: expect.stringContaining("does not keep secrets"),
    });
  });

  test("gives the place of a host that stays away to another, and counts it as failed until it is back", async () => {
    await open(3, { rolloutUnreachableMs: 30 });
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    await bench.cut("web1");
    await begun(params.job, ["web1", "web2"]);
    expect(rollout(params.job)).toMatchObject({ state: "running", failures: 1 });
    bench.agent("web1").job(params.job).end();
    await bench.connect("web1");
    await stands(params.job, { failures: 0 });
    end(params.job);
    await begun(params.job, names(3));
  });

  test("ends what has not begun when the job expires", async () => {
    await open(3);
    const check = newJobId();
    const params = everywhere({
      rollout: { canary: { hosts: 1 }, confirm: true },
      expiresInMs: 150,
      check: { job: check, spec: shell("true") },
    });
    for (const agent of bench.agents.values()) agent.onStart = (job) => job.end();
    await client.request("fanout.start", params);
    await stands(params.job, { state: "done", failures: 0 });
    const codes = (jobs: Awaited<ReturnType<typeof jobsOf>>) =>
      jobs.map(({ status }) => status.reason?.code ?? status.state);
    expect(codes(await jobsOf(params.job))).toEqual(["completed", "expired", "expired"]);
    expect(codes(await jobsOf(check))).toEqual(["completed", "expired", "expired"]);
  });

  test("collects what its hosts write, whenever their turn is", async () => {
    await open(2);
    const params = everywhere({ rollout: { concurrency: { hosts: 1 } }, mode: "collect" });
    await client.request("fanout.start", params);
    for (const host of names(2)) {
      await until(() => on(params.job).includes(host));
      bench.agent(host).job(params.job).write("stdout", `from ${host}`);
      bench.agent(host).job(params.job).end();
    }
    const receiver = receive(params.job);
    await receiver.finished;
    expect(receiver.text("web2")).toBe("from web2");
  });
});

describe("hosts that are offline", () => {
  async function twoOffline(settings: BenchSettings = {}): Promise<void> {
    await open(4, settings);
    await bench.cut("web2");
    await bench.cut("web3");
  }

  test.each([
    ["fail", ["host_unreachable", "host_unreachable"], 2],
    ["skip", ["skipped", "skipped"], 0],
  ] as const)("%s: at once, and in a roll-out at their turn", async (offline, reasons, failures) => {
    await twoOffline();
    for (const more of [{ offline }, { offline, rollout: { batch: { hosts: 1 } } }]) {
      const params = everywhere(more);
      await client.request("fanout.start", params);
      await until(() => on(params.job).length > 0);
      end(params.job);
      await begun(params.job, ["web1", "web4"]);
      end(params.job);
      await until(() => info(params.job).endedAt !== undefined);
      const jobs = await jobsOf(params.job);
      expect(jobs.slice(1, 3).map(({ status }) => status.reason?.code)).toEqual(reasons);
      if (more.rollout !== undefined) await stands(params.job, { state: "done", failures, begun: 4 });
    }
  });

  test.each([{}, { rollout: { batch: { hosts: 2 } } }])(
    "queue: are sent it when they are back: %j",
    async (more) => {
      await twoOffline();
      const params = everywhere({ offline: "queue", ...more });
      await client.request("fanout.start", params);
      await until(() => on(params.job).length > 0);
      end(params.job);
      await begun(params.job, ["web1", "web4"]);
      end(params.job);
      await until(() => info(params.job).counts["completed"] === 2);
      expect((await jobsOf(params.job)).map(({ queued }) => queued)).toEqual([
        undefined,
        "host",
        "host",
        undefined,
      ]);
      expect(info(params.job).state).toBe("disconnected");
      await bench.connect("web3");
      await begun(params.job, ["web1", "web3", "web4"]);
      await bench.kill();
      client = await bench.client();
      for (const name of names(4)) await bench.connect(name);
      await begun(params.job, names(4));
      end(params.job);
      await until(() => info(params.job).state === "completed");
    },
  );

  test.each([{}, { rollout: {} }])("queue: until it expires, also after a restart: %j", async (more) => {
    await twoOffline();
    const params = everywhere({ offline: "queue", expiresInMs: 300, ...more });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1", "web4"]);
    end(params.job);
    await bench.kill();
    client = await bench.client();
    for (const name of ["web1", "web4"]) await bench.connect(name);
    await until(() => info(params.job).endedAt !== undefined, "the expiry");
    const jobs = await jobsOf(params.job);
    expect(jobs[1]!.status).toMatchObject({ state: "failed", reason: { code: "expired" } });
    await bench.connect("web2");
    expect(on(params.job)).toEqual(["web1", "web4"]);
  });

  test("queue: one that is stopped, or whose host is removed, is waited for no more", async () => {
    await twoOffline();
    const params = everywhere({ offline: "queue" });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1", "web4"]);
    end(params.job);
    await client.request("fanout.stop", { job: params.job, hosts: ["web2"] });
    await client.request("host.remove", { hosts: ["web3"] });
    await until(() => info(params.job).endedAt !== undefined);
    const jobs = await jobsOf(params.job);
    expect(jobs.map(({ status }) => status.reason?.code)).toEqual([
      undefined,
      "stopped",
      "host_unreachable",
      undefined,
    ]);
  });

  test("right after the controller's start are taken for hosts that are on their way back", async () => {
    await open(2);
    const params = everywhere({ rollout: { batch: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    end(params.job);
    await begun(params.job, ["web1", "web2"]);
    await bench.kill();
    client = await bench.client();
    const again = everywhere({ rollout: { concurrency: { hosts: 1 } } });
    await client.request("fanout.start", again);
    expect(rollout(again.job)).toMatchObject({ state: "running", begun: 0, failures: 0 });
    for (const name of names(2)) await bench.connect(name);
    await begun(again.job, ["web1"]);
  });
});

describe("an agent of before", () => {
  test("is not asked for what it does not know", async () => {
    await open(1);
    await bench.cut("web1");
    bench.agent("web1").versions = { min: 1, max: 2 };
    await bench.connect("web1");
    const retry = { times: 2, delayMs: 0 };
    const get = { kind: "get" as const, paths: ["/etc/hosts"] };
    const specs: FanOutStartParams["spec"][] = [
      { ...shell("true"), retry },
      { ...shell("true"), command: get },
    ];
    for (const spec of specs) {
      for (const more of [{}, { rollout: {} }]) {
        const params = everywhere({ spec, ...more });
        await client.request("fanout.start", params);
        await until(() => info(params.job).state === "failed");
        expect((await jobsOf(params.job))[0]!.status.reason).toMatchObject({
          code: "refused",
          message: expect.stringMatching(/speaks protocol version 2 .* (retries|copying files); upgrade it/),
        });
      }
    }
    const params = everywhere({ rollout: {}, expiresInMs: 100_000 });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
  });
});

describe("a check", () => {
  test("that cannot be one is refused before anything is recorded", async () => {
    await open(1);
    const params = everywhere();
    const spec = shell("true");
    const refused = async (check: FanOutStartParams["check"], code: string) =>
      expect(client.request("fanout.start", { ...params, check })).rejects.toMatchObject({ code });
    await refused({ job: newJobId(), spec: { ...spec, input: { kind: "stream" } } }, "invalid_argument");
    await refused({ job: params.job, spec }, "conflict");
    expect(bench.services.fanOuts.find(params.job)).toBeUndefined();
  });

  test("needs its own right to run what it runs", async () => {
    await open(1, {
      policy: "rules:\n  - name: mine\n    operators: ['*']\n    actions: [invoke, job.read]\n",
    });
    const check = { job: newJobId(), spec: { ...shell("true"), user: "root" as never } };
    await expect(client.request("fanout.start", everywhere({ check }))).rejects.toMatchObject({
      code: "denied",
    });
    expect((await bench.audited()).at(-1)).toMatchObject({ decision: "denied" });
  });

  test("of a removed job is begun nowhere, whoever dies in between", async () => {
    await open(2);
    const check = newJobId();
    const params = everywhere({
      rollout: { batch: { hosts: 1 } },
      check: { job: check, spec: shell("true") },
    });
    await client.request("fanout.start", params);
    await begun(params.job, ["web1"]);
    await client.request("fanout.remove", { job: params.job, force: true });
    await until(() => info(check).endedAt !== undefined);
    expect(info(check).counts).toEqual({ stopped: 2 });
    await reconnect();
    expect(on(check)).toEqual([]);
  });
});

describe("what a job ran", () => {
  test("is told its owner after the end, if it is not too long", async () => {
    await open(1);
    bench.agent("web1").onStart = (job) => job.end();
    const spec = shell("echo 1");
    const params = everywhere({ spec, secrets: { salt: new Uint8Array(32), env: { A: "b" }, files: {} } });
    const long = everywhere({ spec: shell(`: ${"x".repeat(70_000)}`) });
    for (const each of [params, long]) {
      await client.request("fanout.start", each);
      await until(() => info(each.job).endedAt !== undefined);
    }
    expect(await client.request("fanout.spec", { job: params.job })).toEqual({
      spec,
      mode: "keep",
      hadSecrets: true,
    });
    expect(bench.services.fanOuts.get(params.job).record.authorization).toBeUndefined();
    await expect(client.request("fanout.spec", { job: long.job })).rejects.toMatchObject({
      code: "not_found",
    });
    const bob = await bench.client("bob");
    await expect(bob.request("fanout.spec", { job: params.job })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("only who has started"),
    });
  });
});

describe("many hosts", () => {
  test("come in pages, none of which a message could not hold", async () => {
    await open(0);
    const { catalogue, presence } = bench.services;
    const hosts = names(10_000).map((name, index) => ({
      id: `host-${String(index)}` as never,
      name: name as never,
      labels: { role: "web" },
      facts: {} as never,
      enrolledAt: 1,
      lastSeen: undefined,
      quarantinedSince: undefined,
      certificate: undefined,
    }));
    catalogue.transaction("unsynced", () => {
      for (const host of hosts) {
        const keyHash = Buffer.from(host.name);
        catalogue.hosts.insert({ ...host, keyHash, tokenHash: keyHash });
        presence.add(host);
      }
    });
    const params = everywhere({ offline: "queue", rollout: { concurrency: { percent: 10 } } });
    const { hosts: plan } = await client.request("fanout.start", params);
    expect(plan).toHaveLength(10_000);
    const { job } = params;
    await stands(job, { state: "running", waiting: 0 });
    const seen: string[] = [];
    for (let after: string | undefined, more = true; more;) {
      const page = await client.request("fanout.show", {
        job,
        limit: 500,
        ...(after === undefined ? {} : { after }),
      });
      seen.push(...page.jobs.map(({ host }) => host));
      after = seen.at(-1);
      more = page.more === true;
    }
    expect(seen).toEqual(plan.map(({ host }) => host));
    // All of them in one answer are more than the other side takes.
    expect(10_000 * 25).toBeGreaterThan(limits.maxValuesPerMessage);
    expect(
      (await client.request("fanout.wait", { job, any: false, timeoutMs: 1, brief: true })).jobs,
    ).toEqual([]);
    expect((await client.request("fanout.stop", { job, brief: true })).jobs).toEqual([]);
    expect(rollout(job)).toMatchObject({ state: "stopped", reason: "operator" });
    expect((await client.request("fanout.remove", { job, force: true, brief: true })).jobs).toEqual([]);
  }, 30_000);
});
