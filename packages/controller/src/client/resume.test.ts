/** What must hold while the controller is away: nobody hangs, nothing is lost, and the process lives. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  controllerOperatorMethods,
  ErrorCode,
  type FanOutInfo,
  type Handlers,
  HostName,
  type JobInfo,
  newJobId,
  operatorMethods,
  OutpostError,
  Peer,
  type Positions,
} from "@outpost/protocol";
import { type MemoryLink, memoryLink } from "@outpost/protocol/memory";
import * as v from "valibot";
import { expect, test } from "vitest";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { testOperator } from "./testing/operator.ts";

type Methods = typeof controllerOperatorMethods;
type ControllerSide = Peer<Methods, typeof operatorMethods>;

const { context, signer } = await testOperator();
const job = newJobId();
const web1 = v.parse(HostName, "web1");
const fanout: FanOutInfo = {
  job,
  operator: "me",
  command: "cat",
  mode: "keep",
  createdAt: 0,
  state: "running",
  counts: {},
  hosts: 1,
  unreadBytes: 0,
};
const output = { stdout: { written: 1000, received: 0 }, stderr: { written: 0, received: 0 } };
const running: JobInfo = { host: web1, status: { job, state: "running", startedAt: 1, output } };
const completed: JobInfo = { host: web1, status: { job, state: "completed", startedAt: 1, output } };

/** A controller that can be away, and answers what the test says. */
class AbsentController {
  isAway = false;
  link: MemoryLink | undefined;
  readonly acknowledged: Positions[] = [];
  readonly #handlers: (peer: () => ControllerSide) => Partial<Handlers<Methods>>;

  constructor(handlers: (peer: () => ControllerSide) => Partial<Handlers<Methods>>) {
    this.#handlers = handlers;
  }

  leave(): void {
    this.isAway = true;
    this.link?.cut();
  }

  client(): Client {
    const dial = (): Promise<MemoryLink["sockets"][1]> => {
      if (this.isAway) return Promise.reject(new OutpostError(ErrorCode.controllerUnreachable, "away"));
      const link = memoryLink();
      this.link = link;
      const peer: ControllerSide = new Peer(link.sockets[0], {
        local: controllerOperatorMethods,
        remote: operatorMethods,
        handlers: {
          hello: () => ({ version: 1, software: "absent", maxMessageBytes: 1 << 20, name: "me", time: 0 }),
          "fanout.start": () => ({ fanout, hosts: [{ host: web1, state: "connected" }] }),
          "fanout.show": () => ({ fanout, jobs: [running] }),
          "fanout.acknowledge": ({ received }) => {
            this.acknowledged.push(received[web1] ?? {});
            return {};
          },
          ...this.#handlers(() => peer),
        } as Handlers<Methods>,
      });
      return Promise.resolve(link.sockets[1]);
    };
    const reconnectForMs = Number.POSITIVE_INFINITY;
    return new Client(new Connection({ dial, signer, reconnectForMs, random: () => 0.1 }), context);
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(OutpostError.from(signal.reason)));
  });
}

test("a receive that waits for the controller ends when its signal says so", async () => {
  const controller = new AbsentController(() => ({
    "fanout.receive": (_params, { signal }) => untilAborted(signal),
  }));
  await using client = controller.client();
  const abort = new AbortController();
  const events = (await client.job(job)).receive({ follow: true, signal: abort.signal });
  await events.next();
  const notice = events.next();
  controller.leave();
  expect((await notice).value).toMatchObject({ code: "controller_reconnecting" });
  const next = events.next();
  abort.abort();
  await expect(next).rejects.toMatchObject({ code: "cancelled" });
});

test("a receive that is left while the controller is away lets go", async () => {
  const controller = new AbsentController(() => ({
    "fanout.receive": (_params, { signal }) => untilAborted(signal),
  }));
  await using client = controller.client();
  for await (const event of (await client.job(job)).receive({ follow: true })) {
    if (event.type === "plan") setImmediate(() => controller.leave());
    else break;
  }
});

test("a wait ends at its limit, also when the controller is away", async () => {
  const controller = new AbsentController(() => ({
    "fanout.wait": (_params, { signal }) => untilAborted(signal),
  }));
  await using client = controller.client();
  const handle = await client.job(job);
  setImmediate(() => controller.leave());
  await expect(handle.wait({ timeoutMs: 200 })).rejects.toMatchObject({ code: "timeout" });
});

test("the process lives on while it waits for the controller", () => {
  const program = `
    import { Connection } from ${JSON.stringify(join(import.meta.dirname, "connection.ts"))};
    import { OutpostError, Peer, controllerOperatorMethods, operatorMethods } from "@outpost/protocol";
    import { memoryLink } from "@outpost/protocol/memory";
    let dials = 0;
    let link;
    const dial = async () => {
      if (++dials === 2) throw new OutpostError("controller_unreachable", "away");
      link = memoryLink();
      new Peer(link.sockets[0], { local: controllerOperatorMethods, remote: operatorMethods, handlers: {
        hello: () => ({ version: 1, software: "s", maxMessageBytes: 1 << 20, name: "me", time: 0 }),
        "host.list": () => ({ hosts: [] }),
      } });
      return link.sockets[1];
    };
    const connection = new Connection({ dial, reconnectForMs: Infinity });
    await connection.request("host.list", {});
    link.cut();
    await new Promise((resolve) => setImmediate(resolve));
    await connection.request("host.list", {});
    console.log("answered after", dials, "dials");
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=source", "--input-type=module", "-e", program],
    { cwd: import.meta.dirname, encoding: "utf8" },
  );
  expect(stdout, stderr).toBe("answered after 3 dials\n");
});

test("what the consumer holds back is acknowledged when it is written, and not before", async () => {
  const controller = new AbsentController((peer) => ({
    "fanout.receive": (params, { emit }) => {
      const stream = peer().openStream();
      emit("receive.opened", { host: web1, stream: stream.number, name: "stdout", offset: 0 });
      stream.begin(0, params.window);
      stream.send(Buffer.alloc(1000));
      stream.end();
      emit("receive.done", { info: completed });
      return { fanout };
    },
  }));
  await using client = controller.client();
  let held = 0;
  const events = (await client.job(job)).receive({ follow: true, unwritten: () => held });
  for await (const event of events) {
    if (event.type === "out") held = 10;
    if (event.type !== "summary") continue;
    expect(controller.acknowledged).toEqual([{ stdout: 990 }]);
    held = 0;
  }
  expect(controller.acknowledged).toEqual([{ stdout: 990 }, { stdout: 1000 }]);
});

test("what is missing is acknowledged with what is there, however much it is", async () => {
  const size = 100_000_000;
  const controller = new AbsentController((peer) => ({
    "fanout.receive": async (params, { emit, signal }) => {
      const stream = peer().openStream();
      emit("receive.opened", { host: web1, stream: stream.number, name: "stdout", offset: 0 });
      stream.begin(0, params.window);
      stream.send(Buffer.alloc(10));
      emit("receive.gap", { host: web1, name: "stdout", gap: { from: 10, to: size, reason: "truncated" } });
      stream.skipTo(size);
      await stream.ready(signal);
      stream.send(Buffer.alloc(5));
      stream.end();
      emit("receive.done", { info: completed });
      return { fanout };
    },
  }));
  await using client = controller.client();
  const types: string[] = [];
  for await (const { type } of (await client.job(job)).receive({ follow: true })) types.push(type);
  expect(types).toEqual(["plan", "start", "out", "gap", "out", "exit", "summary"]);
  expect(controller.acknowledged.at(-1)).toEqual({ stdout: size + 5 });
});

/** Stores what comes; `cut` is asked after each chunk. */
function inputController(cut: (stored: Buffer) => boolean): {
  controller: AbsentController;
  stored: () => Buffer;
} {
  let stored = Buffer.alloc(0);
  const controller: AbsentController = new AbsentController((peer) => ({
    "fanout.input": async ({ stream }, { emit }) => {
      const window = 50;
      const ended = Promise.withResolvers<void>();
      const start = stored.length;
      const incoming = peer().acceptStream(
        stream,
        { offset: start, window },
        {
          chunk(offset, bytes) {
            expect(offset).toBe(stored.length);
            stored = Buffer.concat([stored, bytes]);
            incoming.grant(stored.length + window);
            if (cut(stored)) controller.link?.cut();
          },
          end: (error) => (error === undefined ? ended.resolve() : ended.reject(error)),
        },
      );
      emit("input.ready", { offset: start, window });
      await ended.promise;
      return { size: stored.length };
    },
  }));
  return { controller, stored: () => stored };
}

test("a cut while the input's source has nothing to say loses nothing of what it says later", async () => {
  const more = Promise.withResolvers<void>();
  let cuts = 0;
  const { controller, stored } = inputController(() => {
    if (cuts > 0) return false;
    cuts++;
    // Behind the cut, when the sender is there again.
    setTimeout(more.resolve, 300);
    return true;
  });
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(70_000, "a");
    await more.promise;
    yield Buffer.from("two");
    yield Buffer.from("three");
  }
  await using client = controller.client();
  const handle = await client.start({
    targets: "web1",
    command: { kind: "exec", argv: ["cat"] },
    input: source(),
  });
  await handle.input;
  expect(stored().length).toBe(70_008);
  expect(stored().subarray(70_000).toString()).toBe("twothree");
});

test("an input that comes slowly does not keep its job from starting", async () => {
  const { controller, stored } = inputController(() => false);
  const more = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("one ");
    await more.promise;
    yield Buffer.from("two");
  }
  await using client = controller.client();
  const handle = await client.start({
    targets: "web1",
    command: { kind: "exec", argv: ["cat"] },
    input: source(),
  });
  await expect.poll(() => stored().toString()).toBe("one ");
  more.resolve();
  await handle.input;
  expect(stored().toString()).toBe("one two");
});
