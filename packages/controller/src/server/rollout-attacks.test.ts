/** Roll-outs and queued starts when somebody works against them, or the controller dies at the worst moment. */
import {
  type FanOutInfo,
  type FanOutStartParams,
  type JobId,
  newJobId,
  type RolloutInfo,
  systemClock,
} from "@outpost/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";
import { noObserver, type Observer } from "./observer.ts";
import { type BenchSettings, Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";

let bench: Bench;
let client: OperatorClient;
afterEach(async () => {
  vi.restoreAllMocks();
  await bench[Symbol.asyncDispose]();
});
const systemAfter = systemClock.after.bind(systemClock);

async function open(count: number, settings: BenchSettings = {}): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `web${String(index + 1)}`);
  bench = await Bench.create(names, settings);
  client = await bench.client();
}

const shell = (text: string): FanOutStartParams["spec"] => ({
  command: { kind: "shell", text },
  env: {},
  input: { kind: "none" },
});
const everywhere = (more: Partial<FanOutStartParams> = {}): FanOutStartParams =>
  startParams("role=web", more);
const oneByOne = { concurrency: { hosts: 1 } };

const on = (id: JobId): string[] =>
  [...bench.agents].flatMap(([name, agent]) => (agent.jobs.has(id) ? [name] : []));
const begun = (id: JobId, ...hosts: string[]): Promise<void> =>
  until(() => on(id).join() === hosts.join(), `${hosts.join()} begun`);
const info = (id: JobId): FanOutInfo => bench.services.fanOuts.get(id).info(bench.services.bus);
const rollout = (id: JobId): RolloutInfo => info(id).rollout!;
const stands = (id: JobId, state: RolloutInfo["state"]): Promise<void> =>
  until(() => rollout(id).state === state, state);
const codes = (id: JobId): (string | undefined)[] =>
  bench.services.fanOuts.get(id).jobs.map(({ status }) => status.reason?.code);

describe("a controller that dies", () => {
  test("right after a roll-out was stopped does not leave hosts waiting for a turn that never comes", async () => {
    await open(3);
    const params = everywhere({ rollout: oneByOne });
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
    const fanOut = bench.services.fanOuts.get(params.job);
    bench.services.rollouts.stop(fanOut, fanOut.jobs, "alice");
    await bench.kill();
    client = await bench.client();
    await until(() => codes(params.job)[2] !== undefined, "the end of what had not begun");
    expect(codes(params.job)).toEqual([undefined, "not_begun", "not_begun"]);
    await bench.connect("web1");
    bench.agent("web1").job(params.job).end();
    await until(() => info(params.job).endedAt !== undefined);
  });

  test("right after an operator was removed begins nothing more for them", async () => {
    await open(3);
    const bob = await bench.client("bob");
    const queued = everywhere({ offline: "queue" });
    const staged = everywhere({ rollout: oneByOne });
    await bench.cut("web3");
    await client.request("fanout.start", queued);
    await client.request("fanout.start", staged);
    await begun(queued.job, "web1", "web2");
    await begun(staged.job, "web1");
    // What the controller does behind this is lost with it.
    bench.services.operators.remove("alice" as never, "bob");
    await bench.kill();
    await Promise.all(["web1", "web2", "web3"].map((name) => bench.connect(name)));
    bench.agent("web1").job(staged.job).end();
    await until(() => codes(queued.job)[2] !== undefined && codes(staged.job)[2] !== undefined);
    expect(codes(queued.job)).toEqual([undefined, undefined, "denied"]);
    expect(codes(staged.job)).toEqual([undefined, "denied", "denied"]);
    expect(on(queued.job)).toEqual(["web1", "web2"]);
    expect(on(staged.job)).toEqual(["web1"]);
    expect(bob.isOpen).toBe(true);
  });
});

describe("what is kept of a start that waits", () => {
  test("secrets are forgotten when the last host has them, and no timer keeps the job until it expires", async () => {
    await open(2);
    const secrets = { salt: new Uint8Array(32), env: { TOKEN: "t" }, files: {} };
    const waiting = new Set<number>();
    const { clock } = bench.services;
    vi.spyOn(clock, "after").mockImplementation((delayMs, callback) => {
      const cancel = systemAfter(delayMs, callback);
      if (delayMs >= 60_000) waiting.add(delayMs);
      return () => {
        waiting.delete(delayMs);
        cancel();
      };
    });
    const params = everywhere({ secrets, offline: "queue", expiresInMs: 30 * 86_400_000 });
    await bench.cut("web2");
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
    const fanOut = bench.services.fanOuts.get(params.job);
    expect(fanOut.secrets?.env).toEqual(secrets.env);
    // More than 24.8 days would be too much for a timer, which would fire before its time.
    expect(Math.max(...waiting)).toBeLessThan(2 ** 31);
    await bench.connect("web2");
    await begun(params.job, "web1", "web2");
    expect(bench.agent("web2").job(params.job).params.secrets?.env).toEqual(secrets.env);
    for (const agent of bench.agents.values()) agent.job(params.job).end();
    await until(() => info(params.job).endedAt !== undefined);
    expect(fanOut.secrets).toBeUndefined();
    expect([...waiting]).toEqual([]);
  });

  test("of what ended jobs ran the newest are kept, as many as there is room for", async () => {
    await open(1, { maxKeptSpecsBytes: 2_500 });
    bench.agent("web1").onStart = (job) => job.end();
    const jobs: JobId[] = [];
    for (const _ of [1, 2, 3]) {
      const params = everywhere({ spec: shell(`: ${"x".repeat(1_000)}`) });
      jobs.push(params.job);
      await client.request("fanout.start", params);
      await until(() => info(params.job).endedAt !== undefined);
      bench.services.fanOuts.flush();
    }
    bench.services.fanOuts.purge(0);
    const { fanOuts } = bench.services.catalogue;
    const kept = fanOuts.list({});
    expect([...kept].filter(({ spec }) => spec !== undefined)).toHaveLength(2);
    expect(fanOuts.byId(jobs[0]!)?.spec).toBeUndefined();
  });
});

describe("a roll-out whose pauses last until it has expired", () => {
  test("is refused: its last hosts would never begin", async () => {
    await open(3);
    const rollout = { batch: { hosts: 1 }, pauseMs: 12 * 3_600_000 };
    await expect(client.request("fanout.start", everywhere({ rollout }))).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("3 stages with pauses of 720 min between them"),
    });
    const params = everywhere({ rollout, expiresInMs: 25 * 3_600_000 });
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
  });
});

describe("the policy", () => {
  test("of now decides about a start that has to be sent again", async () => {
    await open(2);
    bench.agent("web1").losesStart = true;
    const params = everywhere({ rollout: oneByOne });
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").count("job.start") === 1);
    await bench.setPolicy("rules:\n  - name: look\n    operators: ['*']\n    actions: [job.read]\n");
    await bench.connect("web1");
    await until(() => codes(params.job)[0] !== undefined);
    expect(codes(params.job)[0]).toBe("denied");
    expect(on(params.job)).toEqual([]);
  });

  test("that refuses a host's turn is in the audit log", async () => {
    await open(3);
    const params = everywhere({ rollout: { batch: { hosts: 1 } } });
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
    await bench.setPolicy("rules:\n  - name: look\n    operators: ['*']\n    actions: [job.read]\n");
    bench.agent("web1").job(params.job).end();
    await stands(params.job, "done");
    const denied = (await bench.audited()).filter(({ decision }) => decision === "denied");
    expect(denied).toMatchObject([
      { action: "invoke", operator: "alice", subject: params.job, hosts: ["web2"], what: "true" },
      { action: "invoke", operator: "alice", subject: params.job, hosts: ["web3"] },
    ]);
  });
});

describe("who follows a roll-out", () => {
  test("hears that it was removed, and is not left waiting", async () => {
    await open(2);
    const params = everywhere({ rollout: oneByOne });
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
    const receiver = new Receiver(client, {
      job: params.job,
      streams: ["stdout"],
      follow: true,
      rollout: true,
    });
    await until(() => receiver.rollouts.length === 1);
    await client.request("fanout.remove", { job: params.job, force: true });
    await until(() => receiver.rollouts.at(-1)?.state === "stopped", "the word that it is over");
    await receiver.finished;
    expect(receiver.done.size).toBe(2);
  });
});

describe("a check", () => {
  const checked = async (more: FanOutStartParams["rollout"] = {}): Promise<[FanOutStartParams, JobId]> => {
    const check = newJobId();
    const params = everywhere({
      rollout: { ...oneByOne, ...more },
      check: { job: check, spec: shell("true") },
    });
    await client.request("fanout.start", params);
    await begun(params.job, "web1");
    return [params, check];
  };

  test("cannot be removed as long as its roll-out goes on: without it nothing would be checked", async () => {
    await open(2);
    const [{ job }, check] = await checked();
    await expect(client.request("fanout.remove", { job: check, force: true })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`is the check of the job ${job}`),
    });
    await expect(client.request("fanout.pause", { job: check })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`is the check of the job ${job}`),
    });
    await client.request("fanout.stop", { job });
    await until(() => info(check).endedAt !== undefined);
    await client.request("fanout.remove", { job: check, force: false });
  });

  test("goes on for the others when the last host that runs is stopped by name", async () => {
    await open(2);
    const [{ job }, check] = await checked({ maxFailures: { hosts: 1 } });
    bench.agent("web1").job(job).end();
    await begun(job, "web1", "web2");
    await client.request("fanout.stop", { job, hosts: ["web2"] });
    await begun(check, "web1");
    bench.agent("web1").job(check).end();
    await stands(job, "done");
    expect(rollout(job).failures).toBe(1);
  });
});

describe("whoever watches", () => {
  test("hears of a job that has ended before it began first that it was there", async () => {
    const heard: string[] = [];
    const observer: Observer = {
      ...noObserver,
      fanOutBegun: () => void heard.push("begun"),
      fanOutEnded: () => void heard.push("ended"),
      jobEnded: (state) => void heard.push(state),
    };
    await open(1, { observer });
    await bench.cut("web1");
    await client.request("fanout.start", everywhere());
    expect(heard).toEqual(["begun", "failed", "ended"]);
  });
});
