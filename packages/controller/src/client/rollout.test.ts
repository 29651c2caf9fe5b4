/** Roll-outs, hosts that are awaited, and jobs on more hosts than an answer holds, against a scripted controller. */
import { RequestVerifier } from "@outpost/access";
import {
  type Call,
  controllerOperatorMethods,
  decodeValue,
  type FanOutInfo,
  type FanOutReceiveParams,
  type FanOutStartParams,
  type Handlers,
  HostName as HostNameSchema,
  type HostName,
  type JobInfo,
  newJobId,
  operatorMethods,
  Peer,
  type RolloutInfo,
  Statement,
  systemClock,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { Client, type StartOptions } from "./client.ts";
import { Connection } from "./connection.ts";
import type { JobEvent } from "./events.ts";
import type { ReceiveOptions } from "./receive.ts";
import { testOperator } from "./testing/operator.ts";

type Methods = typeof controllerOperatorMethods;
type Receive = (
  call: Call<Methods, "fanout.receive">,
  params: FanOutReceiveParams,
  cut: () => void,
) => Promise<void> | void;

const { context, signer } = await testOperator();
const job = newJobId();
const names = (count: number): HostName[] =>
  Array.from({ length: count }, (_, index) => v.parse(HostNameSchema, `web${String(index + 1)}`));
const output = { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } };
const command = { kind: "shell", text: "true" } as const;

function info(host: HostName, more: Partial<JobInfo> & { state?: JobInfo["status"]["state"] } = {}): JobInfo {
  const { state = "completed", ...rest } = more;
  return { host, status: { job, state, output }, ...rest };
}

const rollout: RolloutInfo = { state: "running", stage: 1, stages: 2, begun: 1, waiting: 2, failures: 0 };

interface Script {
  readonly hosts?: readonly HostName[];
  readonly rollout?: RolloutInfo;
  readonly version?: number;
  readonly receive?: Receive;
  readonly jobs?: (host: HostName) => JobInfo;
  /** Of the roll-out's check. */
  readonly checks?: (host: HostName) => JobInfo;
  /** How things stand after the receive. */
  readonly after?: () => RolloutInfo;
}

/** Answers by its script, and keeps what was asked. */
class Scripted {
  readonly asked: { readonly method: string; readonly params: Record<string, unknown> }[] = [];
  readonly client: Client;
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
    const connection = new Connection({
      dial: () => {
        const link = memoryLink();
        void new Peer<Methods, typeof operatorMethods>(link.sockets[0], {
          local: controllerOperatorMethods,
          remote: operatorMethods,
          handlers: this.#handlers(link),
        });
        return Promise.resolve(link.sockets[1]);
      },
      signer,
      reconnectForMs: 10_000,
      random: () => 0,
    });
    this.client = new Client(connection, context);
  }

  of<T = Record<string, unknown>>(method: string): T[] {
    return this.asked.filter((each) => each.method === method).map(({ params }) => params as T);
  }

  get #hosts(): readonly HostName[] {
    return this.#script.hosts ?? names(3);
  }

  #fanout(): FanOutInfo {
    const standing = this.#script.after?.() ?? this.#script.rollout;
    return {
      job,
      operator: "me",
      command: "true",
      mode: "keep",
      createdAt: 0,
      state: "running",
      counts: {},
      hosts: this.#hosts.length,
      unreadBytes: 0,
      ...(standing === undefined ? {} : { rollout: standing }),
    };
  }

  #handlers(link: MemoryLink): Handlers<Methods> {
    const { version = 3, receive, jobs = (host) => info(host), checks = jobs } = this.#script;
    const page = ({ job: asked, after, limit }: { job: string; after?: string; limit?: number }): object => {
      const begin = after === undefined ? 0 : this.#hosts.indexOf(after as HostName) + 1;
      const size = version < 3 ? this.#hosts.length : (limit ?? this.#hosts.length);
      const shown = this.#hosts.slice(begin, begin + size).map(asked === job ? jobs : checks);
      const more = begin + size < this.#hosts.length;
      return { fanout: this.#fanout(), jobs: shown, ...(more ? { more } : {}) };
    };
    const brief = ({ brief: isBrief }: { brief?: boolean }): JobInfo[] =>
      isBrief === true && version >= 3 ? [] : this.#hosts.map(jobs);
    const answers: Record<string, (params: never, call: never) => unknown> = {
      hello: () => ({ version, software: "scripted", maxMessageBytes: 1 << 20, name: "me", time: 0 }),
      "fanout.start": () => ({
        fanout: this.#fanout(),
        hosts: this.#hosts.map((host) => ({ host, state: "connected" })),
      }),
      "fanout.show": page,
      "fanout.wait": (params) => ({ ended: true, fanout: this.#fanout(), jobs: brief(params) }),
      "fanout.stop": (params) => ({ jobs: brief(params) }),
      "fanout.acknowledge": () => ({}),
      "fanout.receive": async (params, call) => {
        await receive?.(call, params, () => link.cut());
        return { fanout: this.#fanout() };
      },
    };
    const entries = Object.entries(answers).map(([method, answer]) => [
      method,
      (params: never, call: never): unknown => {
        if (method !== "hello") this.asked.push({ method, params });
        return answer(params, call);
      },
    ]);
    return Object.fromEntries(entries) as Handlers<Methods>;
  }
}

async function received(
  client: Client,
  options: ReceiveOptions = { follow: true },
  start: Partial<StartOptions> = {},
): Promise<JobEvent[]> {
  const started = await client.start({ targets: "web[1-3]", command, ...start });
  const events: JobEvent[] = [];
  for await (const event of started.receive(options)) events.push(event);
  return events;
}

const [web1, web2, web3] = names(3) as [HostName, HostName, HostName];

describe("what is started", () => {
  const lifetimeMs = ({ authorization }: Pick<FanOutStartParams, "authorization">): number => {
    const { issuedAt, expiresAt } = v.parse(Statement, decodeValue(authorization!.statement));
    return expiresAt - issuedAt;
  };
  const minuteMs = 60_000;
  const dayMs = 24 * 60 * minuteMs;
  const started = async (options: Partial<StartOptions>): Promise<FanOutStartParams> => {
    const controller = new Scripted({});
    await controller.client.start({ targets: "web[1-3]", command, ...options });
    return controller.of<FanOutStartParams>("fanout.start")[0]!;
  };

  test("an ordinary job says nothing of roll-outs", async () => {
    const params = await started({});
    expect(Object.keys(params).toSorted()).toEqual([
      "authorization",
      "job",
      "mode",
      "receiving",
      "spec",
      "targets",
    ]);
    expect(lifetimeMs(params)).toBe(15 * minuteMs);
  });

  test.each([
    ["a roll-out", { rollout: { concurrency: { hosts: 1 } } }, dayMs],
    ["hosts that are awaited", { offline: "queue" }, dayMs],
    ["hosts that are left out", { offline: "skip" }, undefined],
    ["its own time", { offline: "queue", expiresInMs: 3 * dayMs }, 3 * dayMs],
  ] as const)(
    "with %s it may be started so long, and is signed for longer",
    async (_, options, expiresInMs) => {
      const params = await started(options);
      expect(params.expiresInMs).toBe(expiresInMs);
      expect(lifetimeMs(params)).toBe((expiresInMs ?? 0) + 15 * minuteMs);
    },
  );

  test("no host would believe a start that waits for longer than a month", async () => {
    await expect(started({ offline: "queue", expiresInMs: 31 * dayMs })).rejects.toThrow("30 days at most");
    expect(lifetimeMs(await started({ offline: "queue", expiresInMs: 30 * dayMs }))).toBeLessThanOrEqual(
      31 * dayMs,
    );
  });

  test("a check is a job of its own, signed as one, in a roll-out", async () => {
    const {
      check,
      rollout: asked,
      job: id,
      ...params
    } = await started({
      check: { command: { kind: "shell", text: "curl localhost" }, timeoutMs: 5 },
    });
    expect(asked).toEqual({});
    expect(check?.job).not.toBe(id);
    const verifier = new RequestVerifier({
      operators: context.operators,
      host: { name: web1, labels: {} },
      clock: systemClock,
    });
    const bound = { method: "job.start", spec: check!.spec, collect: false, secrets: undefined } as const;
    const request = { action: "invoke", subject: check!.job, bound } as const;
    expect(verifier.verify(check!.authorization, request).name).toBe("me");
    expect(lifetimeMs(check!)).toBe(lifetimeMs(params));
  });

  test.each([
    [{ rollout: {} }, "roll-outs"],
    [{ check: { command } }, "roll-outs"],
    [{ offline: "skip" }, "starts that wait"],
    [{ retry: { times: 1 } }, "retries"],
  ] as const)("an older controller would leave out %j: it is not asked", async (options, what) => {
    const controller = new Scripted({ version: 2 });
    const start = controller.client.start({ targets: "web1", command, ...options });
    await expect(start).rejects.toThrow(`speaks protocol version 2 and knows nothing of ${what}`);
    expect(controller.asked).toEqual([]);
  });

  test("what is retried has no input, as hosts have it, and is in no session", async () => {
    const retry = { times: 1 };
    for (const size of [0, 1, 70_000]) {
      await expect(started({ retry, input: Buffer.alloc(size) })).rejects.toThrow("no standard input");
    }
    await expect(started({ retry, sessions: ["a"] })).rejects.toThrow("in a session is not retried");
    expect((await started({ retry })).spec.retry).toEqual({ times: 1, delayMs: 0 });
  });
});

describe("a roll-out is received", () => {
  test("with each of its changes once, also over a cut", async () => {
    let connections = 0;
    const second = { ...rollout, stage: 2, begun: 3, waiting: 0 };
    const controller = new Scripted({
      rollout,
      receive: async (call, { hosts }, cut) => {
        call.emit("receive.rollout", { rollout });
        if (++connections === 1) {
          call.emit("receive.done", { info: info(web1) });
          // Once that has got through.
          await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
          cut();
          return;
        }
        call.emit("receive.rollout", { rollout: second });
        for (const host of hosts ?? []) call.emit("receive.done", { info: info(host) });
        call.emit("receive.rollout", { rollout: { ...second, state: "done" } });
      },
    });
    const events = await received(controller.client);
    const changes = events.flatMap((event) => (event.type === "rollout" ? [event.rollout] : []));
    expect(changes).toEqual([rollout, second, { ...second, state: "done" }]);
    expect(events.at(-1)).toMatchObject({ type: "summary", exitCode: 0, succeeded: [web1, web2, web3] });
    expect(controller.of("fanout.receive").every((params) => params["rollout"] === true)).toBe(true);
  });

  test("of a job without one nobody asks", async () => {
    const controller = new Scripted({
      receive: (call, { hosts }) => {
        for (const host of hosts ?? []) call.emit("receive.done", { info: info(host) });
      },
    });
    await received(controller.client);
    expect(controller.of("fanout.receive")[0]).not.toHaveProperty("rollout");
  });

  test("to the end of its last check, whose failures are those of the hosts", async () => {
    const check = newJobId();
    const checking: RolloutInfo = {
      ...rollout,
      state: "waiting",
      reason: "check",
      stages: 1,
      begun: 3,
      waiting: 0,
      check,
    };
    let isChecked = false;
    const controller = new Scripted({
      rollout: checking,
      checks: (host) => {
        if (host === web1)
          return { host, status: { job: check, state: "failed", exit: { code: 4 }, output } };
        return info(host);
      },
      receive: (call, { hosts }) => {
        call.emit("receive.rollout", { rollout: checking });
        for (const host of hosts ?? []) call.emit("receive.done", { info: info(host) });
      },
      after: () => {
        if (controller.of("fanout.wait").length > 0) isChecked = true;
        return isChecked ? { ...checking, state: "stopped", reason: "max_failures", failures: 1 } : checking;
      },
    });
    const events = await received(controller.client);
    expect(controller.of("fanout.wait")).toMatchObject([{ job: check, any: false }]);
    expect(events.at(-3)).toMatchObject({ type: "rollout", rollout: { state: "stopped", failures: 1 } });
    expect(events.at(-2)).toMatchObject({ type: "check", host: web1, check, exit: { code: 4 } });
    expect(events.at(-1)).toMatchObject({
      exitCode: 249,
      succeeded: [web2, web3],
      checkFailed: [web1],
      failed: [],
    });
  });

  const stopped: RolloutInfo = {
    ...rollout,
    state: "stopped",
    reason: "max_failures",
    stages: 1,
    begun: 3,
    waiting: 0,
    failures: 1,
    check: newJobId(),
  };
  const stoppedReceive: Receive = (call, { hosts }) => {
    call.emit("receive.rollout", { rollout: stopped });
    for (const host of hosts ?? []) call.emit("receive.done", { info: info(host) });
  };
  const failedCheck = (host: HostName): JobInfo => info(host, { state: "failed" });

  test("stopped by its first failure, to the end of the checks that go on", async () => {
    const controller = new Scripted({
      rollout: stopped,
      receive: stoppedReceive,
      checks: (host) =>
        host === web1 || controller.of("fanout.wait").length > 0
          ? failedCheck(host)
          : info(host, { state: "running" }),
    });
    const events = await received(controller.client);
    expect(events.at(-1)).toMatchObject({ exitCode: 249, succeeded: [], checkFailed: [web1, web2, web3] });
  });

  test("of checks that go on where nobody can see it, nobody waits for the end", async () => {
    const controller = new Scripted({
      rollout: stopped,
      receive: stoppedReceive,
      checks: (host) =>
        host === web1 ? failedCheck(host) : info(host, { state: "running", unreachableSince: 1 }),
    });
    const events = await received(controller.client);
    expect(controller.of("fanout.wait")).toEqual([]);
    expect(events.at(-1)).toMatchObject({ checkFailed: [web1, web2, web3] });
  });

  test("a host that has failed by itself has not failed by its check, too", async () => {
    const controller = new Scripted({
      rollout: stopped,
      receive: (call, { hosts }) => {
        call.emit("receive.rollout", { rollout: stopped });
        for (const host of hosts ?? []) call.emit("receive.done", { info: failedCheck(host) });
      },
      checks: failedCheck,
    });
    const events = await received(controller.client);
    expect(events.at(-1)).toMatchObject({ failed: [web1, web2, web3], checkFailed: [] });
  });

  test("hosts that had no turn, and hosts that were left out, are told apart", async () => {
    const ended = { not_begun: web2, skipped: web3 } as const;
    const controller = new Scripted({
      rollout,
      receive: (call) => {
        call.emit("receive.done", { info: info(web1) });
        for (const [code, host] of Object.entries(ended)) {
          const reason = { code: code as keyof typeof ended, message: "…" };
          call.emit("receive.done", { info: { host, status: { job, state: "stopped", output, reason } } });
        }
      },
    });
    expect((await received(controller.client)).at(-1)).toMatchObject({
      exitCode: 249,
      succeeded: [web1],
      notBegun: [web2],
      skipped: [web3],
      stopped: [],
    });
  });
});

describe("hosts that are awaited", () => {
  const queued = (host: HostName): { info: JobInfo } => ({
    info: info(host, { state: "pending", queued: "host", unreachableSince: 5 }),
  });

  test("are left when they are all that is left", async () => {
    const controller = new Scripted({
      receive: async (call) => {
        call.emit("receive.changed", queued(web2));
        call.emit("receive.changed", queued(web3));
        call.emit("receive.done", { info: info(web1) });
        await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
      },
    });
    const events = await received(
      controller.client,
      { follow: true, leaveAwaited: true },
      { offline: "queue" },
    );
    expect(events.map(({ type }) => type)).toEqual(["plan", "exit", "exit", "exit", "summary"]);
    expect(events.at(-1)).toMatchObject({
      exitCode: 0,
      succeeded: [web1],
      queued: [web2, web3],
      running: [],
    });
    expect(events.at(-2)).toMatchObject({ ended: false, queued: "host" });
  });

  test("are waited for when nobody says otherwise, and when others wait for their turn", async () => {
    let isAborted = false;
    const controller = new Scripted({
      rollout,
      receive: async (call, { hosts }) => {
        call.emit("receive.rollout", { rollout });
        for (const host of hosts ?? []) call.emit("receive.changed", queued(host));
        call.signal.addEventListener("abort", () => (isAborted = true));
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        for (const host of hosts ?? []) call.emit("receive.done", { info: info(host) });
      },
    });
    for (const leaveAwaited of [true, false]) {
      const events = await received(controller.client, { follow: true, leaveAwaited });
      expect(events.at(-1)).toMatchObject({ succeeded: [web1, web2, web3], queued: [] });
    }
    expect(isAborted).toBe(false);
  });
});

describe("a job on more hosts than an answer holds", () => {
  const hosts = names(1_201);

  test.each([3, 2])("is shown whole by a controller of version %i", async (version) => {
    const controller = new Scripted({ hosts, version });
    const found = await controller.client.job("4k7m");
    expect(found.hosts.map(({ host }) => host)).toEqual(hosts);
    expect(controller.of("fanout.show")).toHaveLength(version === 3 ? 3 : 1);
    const { jobs } = await found.show();
    expect(jobs.map(({ host }) => host)).toEqual(hosts);
  });

  test.each([3, 2])("is waited for and stopped, with all its hosts told by version %i", async (version) => {
    const controller = new Scripted({ hosts, version });
    const found = await controller.client.job("4k7m");
    expect((await found.wait()).jobs).toHaveLength(hosts.length);
    expect(await found.stop()).toHaveLength(hosts.length);
    expect((await found.stop({ hosts: [hosts[7]!] })).map(({ host }) => host)).toContain(hosts[7]);
    expect(controller.of("fanout.wait")).toMatchObject([{ brief: true }]);
    expect(controller.of("fanout.stop").map((params) => params["brief"])).toEqual([true, undefined]);
  });
});
