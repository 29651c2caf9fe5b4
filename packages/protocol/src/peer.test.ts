import * as v from "valibot";
import { afterEach, describe, expect, test, vi } from "vitest";
import { decode, encode } from "./codec.ts";
import { ErrorCode, OutpostError } from "./errors.ts";
import { FrameType, type Frame } from "./frame.ts";
import { heartbeatTimeoutMs, helloTimeoutMs, maxOpenRequests, writeDeadlineMs } from "./limits.ts";
import { memoryLink, type MemoryLinkOptions } from "./memory.ts";
import type { MethodMap } from "./methods.ts";
import { packRequest, Peer, type Handlers } from "./peer.ts";
import type { MessageSocket } from "./socket.ts";
import type { IncomingStream } from "./stream.ts";
import { FakeClock } from "./testing.ts";

const Nothing = v.object({});
const ping = { since: 1, params: Nothing, result: Nothing } as const;
/** What the right side answers in these tests. */
const methods = {
  ping,
  echo: { since: 1, params: v.object({ text: v.string() }), result: v.object({ text: v.string() }) },
  /** Never answers; ends with its signal. */
  hang: { since: 1, params: Nothing, result: Nothing },
  fail: { since: 1, params: v.object({ how: v.string() }), result: Nothing },
  /** Answers what its schema does not allow. */
  lie: { since: 1, params: Nothing, result: v.object({ count: v.number() }) },
  count: {
    since: 1,
    params: v.object({ to: v.number(), late: v.optional(v.boolean()) }),
    result: Nothing,
    events: { counted: v.object({ number: v.number() }) },
  },
  /** Sends `bytes` of content on a stream. */
  read: {
    since: 1,
    params: v.object({ bytes: v.number(), window: v.number() }),
    result: Nothing,
    events: { opened: v.object({ stream: v.number() }) },
  },
  note: { since: 1, params: v.object({ text: v.string() }), result: null },
} as const satisfies MethodMap;
const none = { ping } as const satisfies MethodMap;
const greeting = {
  ping,
  hello: { since: 1, params: v.object({ name: v.string() }), result: v.object({ name: v.string() }) },
  echo: methods.echo,
} as const satisfies MethodMap;

const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
const open: Peer<never, never>[] = [];
afterEach(() => {
  for (const peer of open.splice(0)) peer.abort(new OutpostError("disconnected", "the test is over"));
});

function setUp(
  options: MemoryLinkOptions & { handlers?: Partial<Handlers<typeof methods>>; clock?: FakeClock } = {},
) {
  const link = memoryLink(options);
  const notes: string[] = [];
  const faults: unknown[] = [];
  const signals: AbortSignal[] = [];
  const clock = options.clock ?? new FakeClock();
  const right: Peer<typeof methods, typeof none> = new Peer(link.sockets[1], {
    local: methods,
    remote: none,
    clock,
    fault: (error) => faults.push(error),
    handlers: {
      echo: ({ text }) => ({ text }),
      hang: (_params, call) => {
        signals.push(call.signal);
        return new Promise((_resolve, reject) => {
          call.signal.addEventListener("abort", () => reject(call.signal.reason as Error));
        });
      },
      fail: ({ how }) => {
        if (how === "known")
          throw new OutpostError("not_found", "no such thing", {
            data: { host: "web1" },
            cause: new Error("secret"),
          });
        if (how === "huge")
          throw new OutpostError("busy", "huge", { data: { bytes: new Uint8Array(5_000_000) } });
        throw new TypeError("a fault");
      },
      lie: () => ({ count: "three" as unknown as number }),
      count: async ({ to, late }, call) => {
        for (let number = 1; number <= to; number++) call.emit("counted", { number });
        if (late === true) setImmediate(() => call.emit("counted", { number: -1 }));
        await Promise.resolve();
        return {};
      },
      read: async ({ bytes, window }, call) => {
        const stream = right.openStream();
        call.emit("opened", { stream: stream.number });
        stream.begin(0, window);
        for (let left = bytes; left > 0;) {
          const length = Math.min(left, await stream.ready(call.signal));
          stream.send(new Uint8Array(length));
          left -= length;
        }
        stream.end();
        return {};
      },
      note: ({ text }) => void notes.push(text),
      ...options.handlers,
    },
  });
  const left = new Peer(link.sockets[0], {
    local: none,
    remote: methods,
    clock,
    handlers: {},
    fault: (error) => faults.push(error),
  });
  open.push(left as never, right as never);
  return { left, right, notes, faults, signals, clock, cut: link.cut };
}

/** A peer against a hand-held socket: the test writes the frames. */
function byHand(local: MethodMap = methods, handlers: object = {}) {
  const link = memoryLink();
  const clock = new FakeClock();
  const faults: unknown[] = [];
  const peer = new Peer(link.sockets[0], {
    local,
    remote: methods,
    clock,
    fault: (error) => faults.push(error),
    handlers: handlers as Handlers<MethodMap>,
  });
  open.push(peer as never);
  const socket: MessageSocket = link.sockets[1];
  const got: Frame[] = [];
  let closed: string | undefined;
  socket.start({
    message: (bytes) => void got.push(decode(bytes)),
    drained: () => {},
    closed: (reason) => (closed = reason),
  });
  return {
    peer,
    clock,
    got,
    faults,
    socket,
    say: (...frames: readonly (Frame | readonly unknown[])[]) => {
      for (const frame of frames) socket.send(encode(frame as Frame));
      return settled();
    },
    closed: () => closed,
  };
}

describe("requests", () => {
  test("an answer", async () => {
    const { left } = setUp();
    await expect(left.request("echo", { text: "é\0" })).resolves.toEqual({ text: "é\0" });
  });

  test("many at once, each with its own answer", async () => {
    const { left } = setUp();
    const texts = Array.from({ length: 1000 }, (_, index) => String(index));
    const answers = await Promise.all(texts.map((text) => left.request("echo", { text })));
    expect(answers.map((answer) => answer.text)).toEqual(texts);
  });

  test("an error keeps its code, message and data; its cause stays at home", async () => {
    const { left, faults } = setUp();
    const error = await left.request("fail", { how: "known" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "not_found", message: "no such thing", data: { host: "web1" } });
    expect(error).not.toHaveProperty("cause");
    expect(faults).toEqual([]);
  });

  test("a fault in a handler reaches the caller as internal, and is reported here", async () => {
    const { left, faults } = setUp();
    await expect(left.request("fail", { how: "fault" })).rejects.toMatchObject({ code: "internal" });
    expect(faults).toEqual([expect.any(TypeError)]);
    await expect(left.request("echo", { text: "still here" })).resolves.toBeDefined();
  });

  test("an error that is too large to send is sent without its data", async () => {
    const { left, faults } = setUp();
    await expect(left.request("fail", { how: "huge" })).rejects.toMatchObject({ code: "busy", data: {} });
    expect(faults).toHaveLength(1);
  });

  test("an answer that is too large is a limit_exceeded for the caller", async () => {
    const { left } = setUp({ handlers: { echo: () => ({ text: "x".repeat(5_000_000) }) } });
    await expect(left.request("echo", { text: "" })).rejects.toMatchObject({ code: "limit_exceeded" });
  });

  test("a request that is too large fails at the caller and leaves the connection alone", async () => {
    const { left } = setUp();
    await expect(left.request("echo", { text: "x".repeat(5_000_000) })).rejects.toMatchObject({
      code: "limit_exceeded",
    });
    await expect(left.request("echo", { text: "ok" })).resolves.toEqual({ text: "ok" });
  });

  test("params that do not fit name the field, and the connection goes on", async () => {
    const { left } = setUp();
    await expect(left.request("echo", { text: 5 as unknown as string })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("echo: text: "),
    });
    await expect(left.request("echo", { text: "ok" })).resolves.toEqual({ text: "ok" });
  });

  test("an unknown method is answered, prototype names included", async () => {
    const { say, got, closed } = byHand();
    await say([0, 1, "no.such", {}], [0, 2, "constructor", {}], [0, 3, "__proto__", {}]);
    expect(got.map((frame) => (frame[2] as { code: string }).code)).toEqual(
      Array(3).fill("method_not_found"),
    );
    expect(closed()).toBeUndefined();
  });

  test("an answer that does not fit its schema ends the connection", async () => {
    const { left, right } = setUp();
    await expect(left.request("lie", {})).rejects.toMatchObject({ code: "protocol_error" });
    expect((await right.closed).message).toContain("the answer to lie is malformed: count");
  });

  test("answers to nobody, and cancels of nothing, are ignored", async () => {
    const { say, closed } = byHand();
    await say([1, 999_999, null, {}], [6, 999_999], [4, 17, 100], [5, 17, null]);
    expect(closed()).toBeUndefined();
  });

  test("the same id twice at once ends the connection", async () => {
    const { say, closed } = byHand(methods, { hang: () => new Promise(() => {}) });
    await say([0, 1, "hang", {}], [0, 1, "hang", {}]);
    expect(closed()).toContain("request 1 is open already");
  });

  test("an id may be used again after its answer", async () => {
    const { say, got } = byHand();
    await say([0, 1, "ping", {}]);
    await say([0, 1, "ping", {}]);
    expect(got).toEqual([
      [1, 1, null, {}],
      [1, 1, null, {}],
    ]);
  });

  test("one too many open is answered limit_exceeded, and on this side not even sent", async () => {
    const { left, right } = setUp();
    const hanging = Array.from({ length: maxOpenRequests }, () => left.request("hang", {}));
    const all = Promise.allSettled(hanging);
    await expect(left.request("echo", { text: "" })).rejects.toMatchObject({ code: "limit_exceeded" });
    left.abort(new OutpostError("disconnected", "enough"));
    await all;
    await right.closed;
    const { say, got } = byHand(methods, { hang: () => new Promise(() => {}) });
    await say(...Array.from({ length: maxOpenRequests + 1 }, (_, id) => [0, id, "hang", {}] as const));
    await expect
      .poll(() => got)
      .toEqual([[1, maxOpenRequests, expect.objectContaining({ code: "limit_exceeded" }), null]]);
  });

  test("handlers run in the order of arrival, up to their first await", async () => {
    const order: string[] = [];
    const { left } = setUp({
      handlers: {
        echo: async ({ text }) => {
          order.push(text);
          await settled();
          return { text };
        },
      },
    });
    await Promise.all(["a", "b", "c"].map((text) => left.request("echo", { text })));
    expect(order).toEqual(["a", "b", "c"]);
  });
});

describe("cancellation", () => {
  test("the caller's signal ends the handler's, and the caller hears its own reason", async () => {
    const { left, signals, right } = setUp();
    const controller = new AbortController();
    const request = left.request("hang", {}, { signal: controller.signal });
    await expect.poll(() => signals.length).toBe(1);
    controller.abort();
    await expect(request).rejects.toMatchObject({ code: "cancelled" });
    await expect.poll(() => signals[0]!.aborted).toBe(true);
    await expect.poll(() => right.openCalls).toBe(0);
  });

  test("a signal that aborted before: nothing is sent", async () => {
    const { left, signals } = setUp();
    await expect(left.request("hang", {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    await settled();
    expect(signals).toEqual([]);
  });

  test("the deadline: timeout for the caller, cancel for the handler", async () => {
    const { left, clock, signals } = setUp();
    const request = left.request("hang", {}, { timeoutMs: 5_000 });
    const failed = expect(request).rejects.toMatchObject({
      code: "timeout",
      message: "no answer to hang within 5000 ms",
    });
    await clock.advance(5_000);
    await failed;
    await expect.poll(() => signals[0]?.aborted).toBe(true);
  });

  test("an answer removes the deadline and the listener", async () => {
    const { left, clock } = setUp();
    const controller = new AbortController();
    const before = clock.pending;
    await left.request("echo", { text: "" }, { timeoutMs: 5_000, signal: controller.signal });
    expect(clock.pending).toBe(before);
    controller.abort();
  });

  test("an answer that crosses the cancel is dropped, its stream too", async () => {
    const { left, right } = setUp();
    const controller = new AbortController();
    const request = left.request("read", { bytes: 100, window: 1000 }, { signal: controller.signal });
    controller.abort();
    await expect(request).rejects.toMatchObject({ code: "cancelled" });
    await settled();
    expect([left.isOpen, right.isOpen]).toEqual([true, true]);
  });

  test("the signal of a handler aborts when the connection ends", async () => {
    const { left, signals, cut } = setUp();
    const request = left.request("hang", {});
    await expect.poll(() => signals.length).toBe(1);
    cut();
    await expect(request).rejects.toMatchObject({ code: "disconnected" });
    expect(signals[0]!.reason).toMatchObject({ code: "disconnected" });
  });
});

describe("events and notifications", () => {
  test("events come in order, before the answer", async () => {
    const { left } = setUp();
    const seen: number[] = [];
    await left.request("count", { to: 3 }, { onEvent: ({ params }) => seen.push(params.number) });
    expect(seen).toEqual([1, 2, 3]);
  });

  test("events go to their own request", async () => {
    const { left } = setUp();
    const seen: [string, number][] = [];
    await Promise.all(
      ["a", "b"].map((name, index) =>
        left.request(
          "count",
          { to: index + 1 },
          { onEvent: ({ params }) => seen.push([name, params.number]) },
        ),
      ),
    );
    expect(seen).toEqual([
      ["a", 1],
      ["b", 1],
      ["b", 2],
    ]);
  });

  test("an event after the answer reaches nobody", async () => {
    const { left } = setUp();
    const onEvent = vi.fn();
    await left.request("count", { to: 0, late: true }, { onEvent });
    await settled();
    expect(onEvent).not.toHaveBeenCalled();
    expect(left.isOpen).toBe(true);
  });

  test("an event that does not fit ends the connection; one that we do not know is ignored", async () => {
    const { peer, got, say, closed } = byHand();
    const request = peer.request("count", { to: 1 });
    request.catch(() => {});
    await expect.poll(() => got.length).toBe(1);
    const id = got[0]![1];
    await say([2, "of.tomorrow", { request: id }]);
    expect(closed()).toBeUndefined();
    await say([2, "counted", { request: id, number: "one" }]);
    await expect(request).rejects.toMatchObject({ code: "protocol_error" });
    expect(closed()).toContain("counted is malformed: number");
  });

  test("a fault in an event's listener ends the connection, and is reported", async () => {
    const { left, faults } = setUp();
    const request = left.request(
      "count",
      { to: 1 },
      {
        onEvent: () => {
          throw new TypeError("a fault");
        },
      },
    );
    await expect(request).rejects.toMatchObject({ code: "internal" });
    expect(faults).toEqual([expect.any(TypeError)]);
  });

  test("notifications arrive; their faults are reported and answer nobody", async () => {
    const { left, notes, faults } = setUp();
    left.notify("note", { text: "one" });
    await expect.poll(() => notes).toEqual(["one"]);
    const faulty = setUp({
      handlers: {
        note: () => {
          throw new TypeError("a fault");
        },
      },
    });
    faulty.left.notify("note", { text: "two" });
    await expect.poll(() => faulty.faults.length).toBe(1);
    expect(faulty.left.isOpen).toBe(true);
    expect(faults).toEqual([]);
  });

  test("an unknown notification is ignored, a malformed one ends the connection", async () => {
    const { say, closed } = byHand();
    await say(
      [2, "of.tomorrow", { x: 1 }],
      [2, "echo", { text: "a request is no notification" }],
      [2, "note", null].slice(0, 2).concat([5]),
    );
    expect(closed()).toContain("note is malformed");
  });
});

describe("hello", () => {
  const hello = ({ name }: { name: string }) => ({ name: name.toUpperCase() });
  const echo = ({ text }: { text: string }) => ({ text });

  test("opens the connection", async () => {
    const { say, got } = byHand(greeting, { hello, echo });
    await say([0, 1, "hello", { name: "web1" }]);
    await say([0, 2, "echo", { text: "x" }]);
    expect(got).toEqual([
      [1, 1, null, { name: "WEB1" }],
      [1, 2, null, { text: "x" }],
    ]);
  });

  test.each<readonly [string, readonly unknown[]]>([
    ["request", [0, 1, "echo", { text: "x" }]],
    ["ping", [0, 1, "ping", {}]],
    ["notification", [2, "note", { text: "x" }]],
    ["chunk", [3, 1, 0, Uint8Array.of(1)]],
    ["response", [1, 1, null, {}]],
  ])("nothing is taken before it: %s", async (_name, frame) => {
    const { say, got, closed } = byHand(greeting, { hello, echo });
    await say(frame);
    expect(got).toEqual([]);
    expect(closed()).toBe("the first frame must be a hello request");
  });

  test("nothing is taken while it is being answered", async () => {
    const { say, closed } = byHand(greeting, { hello: () => new Promise(() => {}), echo });
    await say([0, 1, "hello", { name: "web1" }], [0, 2, "echo", { text: "x" }]);
    expect(closed()).toBe("the first frame must be a hello request");
  });

  test("a second one ends the connection, while the first is open and after", async () => {
    const busy = byHand(greeting, { hello: () => new Promise(() => {}), echo });
    await busy.say([0, 1, "hello", { name: "a" }], [0, 2, "hello", { name: "b" }]);
    expect(busy.closed()).toBe("hello was said already");
    const done = byHand(greeting, { hello, echo });
    await done.say([0, 1, "hello", { name: "a" }]);
    await done.say([0, 2, "hello", { name: "b" }]);
    expect(done.closed()).toBe("hello was said already");
  });

  test("one that is refused is answered, then the connection closes with the same words", async () => {
    const { say, got, closed } = byHand(greeting, {
      hello: () => {
        throw new OutpostError("version_mismatch", "we speak 1, you speak 7");
      },
      echo,
    });
    await say([0, 1, "hello", { name: "web1" }]);
    expect(got).toEqual([[1, 1, { code: "version_mismatch", message: "we speak 1, you speak 7" }, null]]);
    expect(closed()).toBe("we speak 1, you speak 7");
  });

  test("one that does not come in time ends the connection", async () => {
    const { clock, closed, peer } = byHand(greeting, { hello, echo });
    await clock.advance(helloTimeoutMs - 1);
    expect(peer.isOpen).toBe(true);
    await clock.advance(1);
    await expect.poll(closed).toBeDefined();
    await expect(peer.closed).resolves.toMatchObject({ code: "timeout" });
  });
});

describe("the end", () => {
  test("close sends what is queued first, and its reason is heard", async () => {
    const { left, right, notes } = setUp();
    for (let index = 0; index < 100; index++) left.notify("note", { text: String(index) });
    await left.close("done");
    expect(notes).toHaveLength(100);
    expect((await right.closed).message).toBe("done");
  });

  test("abort loses what is queued", async () => {
    const { left, right, notes } = setUp();
    left.notify("note", { text: "lost" });
    left.abort(new OutpostError("disconnected", "enough"));
    await right.closed;
    expect(notes).toEqual([]);
  });

  test("everything that is open fails with the reason, on both sides, and nothing is left behind", async () => {
    const clock = new FakeClock();
    const { left, right, signals, cut } = setUp({ clock });
    const ends: unknown[] = [];
    const hanging = left.request("hang", {}, { timeoutMs: 60_000 });
    const out = left.openStream();
    out.begin(0, 0);
    const ready = out.ready();
    const reading = left.request(
      "read",
      { bytes: 1_000_000, window: 1 },
      {
        onEvent: ({ params }) => {
          left.acceptStream(
            params.stream,
            { offset: 0, window: 1 },
            { chunk: () => {}, end: (error) => ends.push(error) },
          );
        },
      },
    );
    const all = Promise.allSettled([hanging, ready, reading]);
    await expect.poll(() => signals.length).toBe(1);
    await settled();
    cut();
    for (const result of await all) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "disconnected" } });
    }
    expect(ends).toEqual([expect.objectContaining({ code: "disconnected" })]);
    await expect.poll(() => right.openCalls).toBe(0);
    expect(clock.pending).toBe(0);
    expect([left.isOpen, right.isOpen]).toEqual([false, false]);
  });

  test("afterwards everything fails at once with the reason", async () => {
    const { left, cut } = setUp();
    cut();
    await left.closed;
    const ends: unknown[] = [];
    await expect(left.request("echo", { text: "" })).rejects.toMatchObject({ code: "disconnected" });
    await expect(left.writable()).rejects.toMatchObject({ code: "disconnected" });
    await expect(left.openStream().ready()).rejects.toMatchObject({ code: "disconnected" });
    left.acceptStream(1, { offset: 0, window: 1 }, { chunk: () => {}, end: (error) => ends.push(error) });
    expect(ends).toHaveLength(1);
    left.notify("note", { text: "dropped" });
    await left.close("again");
    left.abort(new OutpostError("internal", "again"));
  });

  test("a fault in one receiver's end keeps nothing else from being told", async () => {
    const { left, faults, cut } = setUp();
    const ends: string[] = [];
    left.acceptStream(
      1,
      { offset: 0, window: 1 },
      {
        chunk: () => {},
        end: () => {
          throw new TypeError("a fault");
        },
      },
    );
    left.acceptStream(2, { offset: 0, window: 1 }, { chunk: () => {}, end: () => ends.push("told") });
    cut();
    await left.closed;
    expect(ends).toEqual(["told"]);
    expect(faults).toEqual([expect.any(TypeError)]);
  });

  test.each<readonly [string, Uint8Array]>([
    ["no MessagePack", Uint8Array.of(0xc1)],
    ["no array", Uint8Array.of(0x80)],
    ["an unknown frame", Uint8Array.of(0x91, 0x20)],
    ["an empty message", new Uint8Array(0)],
  ])("a bad frame closes the connection with a reason: %s", async (_name, bytes) => {
    const { socket, closed, peer } = byHand();
    socket.send(bytes);
    await settled();
    expect(closed()).toMatch(/message|frame/);
    await expect(peer.closed).resolves.toMatchObject({ code: "protocol_error" });
  });
});

describe("packed requests", () => {
  test("one buffer, many peers, each with its own answer", async () => {
    const packed = packRequest(methods, "echo", { text: "all" });
    const sides = Array.from({ length: 50 }, () => setUp());
    const answers = await Promise.all(sides.map(({ left }) => left.requestPacked(packed)));
    expect(answers).toEqual(Array(50).fill({ text: "all" }));
  });

  test("twice to one peer at once is refused, or one of the two would wait for ever", async () => {
    const { left } = setUp();
    const packed = packRequest(methods, "echo", { text: "x" });
    const first = left.requestPacked(packed);
    await expect(left.requestPacked(packed)).rejects.toMatchObject({ code: ErrorCode.internal });
    await expect(first).resolves.toEqual({ text: "x" });
  });

  test("it never meets the id of an ordinary request", async () => {
    const { left } = setUp();
    const packed = packRequest(methods, "echo", { text: "packed" });
    const answers = await Promise.all([
      left.request("echo", { text: "a" }),
      left.requestPacked(packed),
      left.request("echo", { text: "b" }),
    ]);
    expect(answers.map((answer) => answer.text)).toEqual(["a", "packed", "b"]);
  });
});

describe("streams", () => {
  const read = (left: ReturnType<typeof setUp>["left"], bytes: number, window: number, consume: boolean) => {
    const state = { got: 0, ended: false, stream: undefined as IncomingStream | undefined };
    const done = left.request(
      "read",
      { bytes, window },
      {
        onEvent: ({ params }) => {
          const stream = left.acceptStream(
            params.stream,
            { offset: 0, window },
            {
              chunk: (offset, chunk) => {
                state.got += chunk.length;
                if (consume) stream.grant(offset + chunk.length + window);
              },
              end: () => (state.ended = true),
            },
          );
          state.stream = stream;
        },
      },
    );
    return { state, done };
  };

  test("a whole one, window by window, and its end comes before the answer", async () => {
    const { left } = setUp();
    const { state, done } = read(left, 5_000_000, 100_000, true);
    await done;
    expect(state).toMatchObject({ got: 5_000_000, ended: true });
  });

  test("a reader that stands still gets its window and no more, and slows nobody else", async () => {
    const { left } = setUp();
    const stalled = read(left, 1_000_000, 16_384, false);
    const others = Array.from({ length: 5 }, () => read(left, 2_000_000, 65_536, true));
    await Promise.all(others.map(({ done }) => done));
    expect(others.every(({ state }) => state.got === 2_000_000)).toBe(true);
    expect(stalled.state).toMatchObject({ got: 16_384, ended: false });
    // It goes on as soon as it reads.
    stalled.state.stream!.grant(1_000_000);
    await stalled.done;
    expect(stalled.state).toMatchObject({ got: 1_000_000, ended: true });
  });

  test.each<readonly [string, readonly unknown[], string]>([
    ["beyond the credit", [3, 9, 0, new Uint8Array(101)], "sent beyond the credit"],
    ["at the wrong offset", [3, 9, 5, new Uint8Array(1)], "where 0 was due"],
  ])("a chunk %s ends the connection", async (_name, frame, message) => {
    const { peer, say, closed } = byHand();
    peer.acceptStream(9, { offset: 0, window: 100 }, { chunk: () => {}, end: () => {} });
    await say(frame);
    expect(closed()).toContain(message);
  });

  test("a number that is open already ends the connection", async () => {
    const { peer } = byHand();
    const ends: unknown[] = [];
    const receiver = { chunk: () => {}, end: (error?: OutpostError) => void ends.push(error?.code) };
    peer.acceptStream(9, { offset: 0, window: 100 }, receiver);
    peer.acceptStream(9, { offset: 0, window: 100 }, receiver);
    await expect(peer.closed).resolves.toMatchObject({ code: "protocol_error" });
    expect(ends).toEqual(["protocol_error", "protocol_error"]);
  });

  test("an end with an error reaches the receiver with its code", async () => {
    const { peer, say } = byHand();
    const ends: unknown[] = [];
    peer.acceptStream(
      9,
      { offset: 0, window: 100 },
      { chunk: () => {}, end: (error) => void ends.push(error) },
    );
    await say([FrameType.end, 9, { code: "of_tomorrow", message: "what a newer peer says" }]);
    expect(ends).toEqual([expect.objectContaining({ code: "internal", data: { code: "of_tomorrow" } })]);
  });

  test("a fault in a receiver ends the connection, and is reported", async () => {
    const { peer, say, faults } = byHand();
    peer.acceptStream(
      9,
      { offset: 0, window: 100 },
      {
        chunk: () => {
          throw new TypeError("a fault");
        },
        end: () => {},
      },
    );
    await say([3, 9, 0, new Uint8Array(1)]);
    await expect(peer.closed).resolves.toMatchObject({ code: "internal" });
    expect(faults).toEqual([expect.any(TypeError)]);
  });
});

describe("time", () => {
  test("two peers with nothing to say keep each other alive for days", async () => {
    const clock = new FakeClock();
    const { left, right } = setUp({ clock });
    for (let hour = 0; hour < 2; hour++) await clock.advance(3_600_000);
    expect([left.isOpen, right.isOpen]).toEqual([true, true]);
  });

  test("a peer that says nothing is given up", async () => {
    const { peer, clock } = byHand(none);
    await clock.advance(heartbeatTimeoutMs);
    await expect(peer.closed).resolves.toMatchObject({
      code: "disconnected",
      message: "the other side went silent",
    });
    expect(clock.pending).toBe(0);
  });

  test("our own sleep kills nobody", async () => {
    const clock = new FakeClock();
    const { left, right } = setUp({ clock });
    await clock.sleep(8 * 3_600_000);
    await clock.advance(heartbeatTimeoutMs * 2);
    expect([left.isOpen, right.isOpen]).toEqual([true, true]);
  });

  test("a peer that speaks but does not read is given up after the write deadline", async () => {
    const clock = new FakeClock();
    const link = memoryLink({ clock, latencyMs: 3_600_000 });
    const peer = new Peer(link.sockets[0], { local: none, remote: methods, clock, handlers: {} });
    open.push(peer as never);
    const far = link.sockets[1] as MessageSocket & { other: { deliver(bytes: Uint8Array): void } };
    link.sockets[1].start({ message: () => {}, drained: () => {}, closed: () => {} });
    peer.notify("note", { text: "stuck" });
    for (let waitedMs = 0; waitedMs < writeDeadlineMs; waitedMs += 10_000) {
      expect(peer.isOpen).toBe(true);
      far.other.deliver(encode([FrameType.cancel, 1]));
      await clock.advance(10_000);
    }
    await expect(peer.closed).resolves.toMatchObject({ message: "the other side does not read" });
  });
});
