/** The client against a scripted controller, over sockets in memory that can be cut. */
import {
  type Call,
  controllerOperatorMethods,
  ErrorCode,
  type FanOutInfo,
  type FanOutReceiveParams,
  type Handlers,
  HostName as HostNameSchema,
  type JobInfo,
  newJobId,
  operatorMethods,
  OutpostError,
  Peer,
  type Positions,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { Client, type StartOptions } from "./client.ts";
import { Connection } from "./connection.ts";
import type { JobEvent } from "./events.ts";
import { testOperator } from "./testing/operator.ts";

type Methods = typeof controllerOperatorMethods;
const { context, signer } = await testOperator();
const job = newJobId();
const web1 = v.parse(HostNameSchema, "web1");
const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251));

const fanout: FanOutInfo = {
  job,
  operator: "me",
  command: "true",
  mode: "keep",
  createdAt: 0,
  state: "completed",
  counts: { completed: 1 },
  hosts: 1,
  unreadBytes: 0,
};

function info(state: JobInfo["status"]["state"]): JobInfo {
  const output = { stdout: { written: content.length, received: 0 }, stderr: { written: 0, received: 0 } };
  return { host: web1, status: { job, state, startedAt: 5, exit: { code: 0 }, output } };
}

/** A controller that serves `content` as web1's stdout, and records what it is told. */
class ScriptedController {
  readonly acknowledged: Positions[] = [];
  readonly receives: FanOutReceiveParams[] = [];
  link: MemoryLink | undefined;
  /** How far it sends on each connection before it cuts it. */
  cutAfter: number[] = [];
  input = Buffer.alloc(0);
  /** How much of the input it takes on each connection before it cuts it. */
  cutInputAfter: number[] = [];
  highestCredit = 0;

  client(): Client {
    const connection = new Connection({
      dial: () => {
        const link = memoryLink();
        this.link = link;
        const peer: Peer<Methods, typeof operatorMethods> = new Peer(link.sockets[0], {
          local: controllerOperatorMethods,
          remote: operatorMethods,
          handlers: this.#handlers(() => peer),
        });
        return Promise.resolve(link.sockets[1]);
      },
      signer,
      reconnectForMs: 10_000,
      random: () => 0,
    });
    return new Client(connection, context);
  }

  #handlers(peer: () => Peer<Methods, typeof operatorMethods>): Handlers<Methods> {
    const refuse = (): never => {
      throw new OutpostError(ErrorCode.methodNotFound, "not in this script");
    };
    const handlers: Partial<Handlers<Methods>> = {
      hello: () => ({ version: 1, software: "scripted", maxMessageBytes: 1 << 20, name: "me", time: 0 }),
      "host.list": refuse,
      "token.create": refuse,
      "fanout.start": () => ({ fanout, hosts: [{ host: web1, state: "connected" }] }),
      "fanout.input": (params, call) => this.#input(peer(), params.stream, call),
      "fanout.receive": (params, call) => this.#receive(peer(), params, call),
      "fanout.acknowledge": ({ received }) => {
        this.acknowledged.push(received[web1] ?? {});
        return {};
      },
      "fanout.list": refuse,
      "fanout.show": () => ({ fanout, jobs: [info("completed")] }),
      "fanout.wait": refuse,
      "fanout.stop": refuse,
      "fanout.remove": refuse,
    };
    return handlers as Handlers<Methods>;
  }

  async #receive(
    peer: Peer<Methods, typeof operatorMethods>,
    params: FanOutReceiveParams,
    call: Call<Methods, "fanout.receive">,
  ): Promise<{ fanout: FanOutInfo }> {
    this.receives.push(params);
    const cutAt = this.cutAfter.shift() ?? Number.POSITIVE_INFINITY;
    const from = params.from?.[web1]?.stdout ?? 0;
    const stream = peer.openStream();
    call.emit("receive.opened", { host: web1, stream: stream.number, name: "stdout", offset: from });
    stream.begin(from, params.window);
    stream.onCredit((upTo) => (this.highestCredit = Math.max(this.highestCredit, upTo)));
    while (stream.offset < content.length) {
      const room = Math.min(await stream.ready(call.signal), 10_000, content.length - stream.offset);
      stream.send(content.subarray(stream.offset, stream.offset + room));
      if (stream.offset - from >= cutAt) {
        // Once the last chunk has got through.
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        this.link!.cut();
      }
    }
    stream.end();
    call.emit("receive.done", { info: info("completed") });
    return { fanout };
  }

  async #input(
    peer: Peer<Methods, typeof operatorMethods>,
    stream: number,
    call: Call<Methods, "fanout.input">,
  ): Promise<{ size: number }> {
    const window = 20_000;
    const cutAt = this.cutInputAfter.shift() ?? Number.POSITIVE_INFINITY;
    const start = this.input.length;
    const ended = Promise.withResolvers<void>();
    const incoming = peer.acceptStream(
      stream,
      { offset: start, window },
      {
        chunk: (offset, bytes) => {
          expect(offset).toBe(this.input.length);
          this.input = Buffer.concat([this.input, bytes]);
          incoming.grant(this.input.length + window);
          if (this.input.length - start >= cutAt) this.link!.cut();
        },
        end: (error) => (error === undefined ? ended.resolve() : ended.reject(error)),
      },
    );
    call.emit("input.ready", { offset: start, window });
    await ended.promise;
    return { size: this.input.length };
  }
}

async function collect(events: AsyncIterable<JobEvent>): Promise<{ bytes: Buffer; types: string[] }> {
  const pieces: Uint8Array[] = [];
  const types: string[] = [];
  let expected = 0;
  for await (const event of events) {
    if (event.type === "out") {
      expect(event.offset).toBe(expected);
      expected += event.bytes.length;
      pieces.push(event.bytes);
    } else types.push(event.type === "notice" ? event.code : event.type);
  }
  return { bytes: Buffer.concat(pieces), types };
}

describe("receive", () => {
  test("gives every byte once over many cuts, and says so", async () => {
    const controller = new ScriptedController();
    controller.cutAfter = [50_000, 10_000, 90_000];
    await using client = controller.client();
    const { bytes, types } = await collect((await client.job(job)).receive({ follow: true }));
    expect(bytes.equals(content)).toBe(true);
    expect(types.filter((type) => type === "controller_reconnected")).toHaveLength(3);
    expect(types.filter((type) => !type.startsWith("controller_"))).toEqual([
      "plan",
      "start",
      "exit",
      "summary",
    ]);
    expect(controller.acknowledged.at(-1)).toEqual({ stdout: content.length });
  });

  test("acknowledges what the consumer has handled and nothing else", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    let handled = 0;
    for await (const event of (await client.job(job)).receive({ follow: true })) {
      if (event.type !== "out") continue;
      // Leaving in the middle of an event: that one may not have been handled.
      if (handled > 100_000) break;
      handled += event.bytes.length;
    }
    expect(controller.acknowledged).toEqual([{ stdout: handled }]);
  });

  test("with keep acknowledges nothing", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    const { bytes } = await collect((await client.job(job)).receive({ follow: true, keep: true }));
    expect(bytes.equals(content)).toBe(true);
    expect(controller.acknowledged).toEqual([]);
  });

  test("a consumer that stops asking stops the sender at its window, whatever is cut meanwhile", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    const events = (await client.job(job)).receive({ follow: true });
    await events.next();
    await events.next();
    await expect.poll(() => controller.receives.length).toBe(1);
    const window = controller.receives[0]!.window;
    expect(controller.highestCredit).toBeLessThanOrEqual(window);
    await events.return();
  });

  test("a host that the job does not run on is an error that names it", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    const events = (await client.job(job)).receive({ hosts: ["web9"] });
    await expect(events.next()).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("web9"),
    });
  });

  test("a signal ends it as cancelled", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    const abort = new AbortController();
    const events = (await client.job(job)).receive({ follow: true, signal: abort.signal });
    await events.next();
    abort.abort();
    await expect(collect(events)).rejects.toMatchObject({ code: "cancelled" });
  });
});

describe("input", () => {
  const start: StartOptions = { targets: "web1", command: { kind: "exec", argv: ["cat"] } };

  test("streams what is too long for the request, and goes on after cuts where the controller is", async () => {
    const controller = new ScriptedController();
    controller.cutInputAfter = [70_000, 30_000];
    await using client = controller.client();
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < content.length; at += 7_001) yield content.subarray(at, at + 7_001);
    }
    const handle = await client.start({ ...start, input: source() });
    await handle.input;
    expect(controller.input.equals(content)).toBe(true);
  });

  test("short input travels in the request", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    const handle = await client.start({ ...start, input: Buffer.from("short") });
    expect(handle.input).toBeUndefined();
  });

  test("a source that fails tells the controller that the rest will never come", async () => {
    const controller = new ScriptedController();
    await using client = controller.client();
    async function* source(): AsyncGenerator<Uint8Array> {
      yield content.subarray(0, 100_000);
      throw new Error("the pipe broke");
    }
    const handle = await client.start({ ...start, input: source() });
    await expect(handle.input).rejects.toThrow("the pipe broke");
  });
});
