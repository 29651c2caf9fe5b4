import fc from "fast-check";
import * as v from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { OutpostError } from "./errors.ts";
import { memoryLink } from "./memory.ts";
import type { MethodMap } from "./methods.ts";
import { Peer } from "./peer.ts";
import { relayGap, relayStream } from "./relay.ts";
import type { IncomingStream, OutgoingStream } from "./stream.ts";

/**
 * reader ◀── memory link ──▶ relay (two peers) ◀── memory link ──▶ source, as an operator reads from a host through the
 * controller. `read` opens a stream; what the source does with it is each test's.
 */
const methods = {
  ping: { since: 1, params: v.object({}), result: v.object({}) },
  read: {
    since: 1,
    params: v.object({ window: v.number() }),
    result: v.object({}),
    events: {
      opened: v.object({ stream: v.number(), offset: v.number() }),
      gap: v.object({ to: v.number() }),
    },
  },
} as const satisfies MethodMap;
const none = { ping: methods.ping } as const satisfies MethodMap;

/** What the source sends, between the announcement of its stream and the answer. */
type Source = (
  stream: OutgoingStream,
  gap: (to: number) => void,
  signal: AbortSignal,
) => Promise<OutpostError | undefined>;

const open: Peer<never, never>[] = [];
const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
afterEach(async () => {
  for (const peer of open.splice(0)) peer.abort(new OutpostError("disconnected", "the test is over"));
  await settled();
});

interface SetUp {
  readonly source: Source;
  readonly start?: number;
  readonly window: number;
  /** What the reader does after each chunk. Default: it grants a window from there. */
  readonly onChunk?: (stream: IncomingStream, received: number) => void;
}

function setUp({ source, start = 0, window, onChunk }: SetUp) {
  const [near, far] = [memoryLink(), memoryLink()];
  const faults: unknown[] = [];
  const fault = (error: unknown): void => void faults.push(error);
  const sender: Peer<typeof methods, typeof none> = new Peer(far.sockets[1], {
    local: methods,
    remote: none,
    fault,
    handlers: {
      read: async (params, call) => {
        const stream = sender.openStream();
        call.emit("opened", { stream: stream.number, offset: start });
        stream.begin(start, params.window);
        const gap = (to: number): void => {
          call.emit("gap", { to });
          stream.skipTo(to);
        };
        const error = await source(stream, gap, call.signal).catch((reason: unknown) =>
          OutpostError.from(reason),
        );
        stream.end(error);
        if (error !== undefined) throw error;
        return {};
      },
    },
  });
  const toSource = new Peer(far.sockets[0], { local: none, remote: methods, handlers: {}, fault });
  const toReader: Peer<typeof methods, typeof none> = new Peer(near.sockets[1], {
    local: methods,
    remote: none,
    fault,
    handlers: {
      read: async (params, call) => {
        const out = toReader.openStream();
        let incoming: IncomingStream | undefined;
        try {
          return await toSource.request("read", params, {
            signal: call.signal,
            onEvent(event) {
              if (event.event === "gap") {
                call.emit("gap", event.params);
                relayGap(incoming!, out, event.params.to);
                return;
              }
              const { stream, offset } = event.params;
              call.emit("opened", { stream: out.number, offset });
              out.begin(offset, params.window);
              incoming = relayStream(toSource, stream, { offset, window: params.window }, out);
            },
          });
        } catch (error) {
          out.end(OutpostError.from(error));
          throw error;
        } finally {
          incoming?.ignore();
        }
      },
    },
  });
  const reader = new Peer(near.sockets[0], { local: none, remote: methods, handlers: {}, fault });
  open.push(sender as never, toSource as never, toReader as never, reader as never);

  const got: { offset: number; bytes: Uint8Array }[] = [];
  const gaps: [number, number][] = [];
  const state = { received: 0, ends: [] as (OutpostError | undefined)[] };
  let stream: IncomingStream | undefined;
  const abort = new AbortController();
  const outcome = reader
    .request(
      "read",
      { window },
      {
        signal: abort.signal,
        onEvent(event) {
          if (event.event === "gap") {
            gaps.push([stream!.offset, event.params.to]);
            stream!.skipTo(event.params.to);
            stream!.grant(event.params.to + window);
            return;
          }
          const { offset } = event.params;
          stream = reader.acceptStream(
            event.params.stream,
            { offset, window },
            {
              chunk(at, bytes) {
                got.push({ offset: at, bytes });
                state.received += bytes.length;
                if (onChunk === undefined) stream!.grant(at + bytes.length + window);
                else onChunk(stream!, state.received);
              },
              end: (error) => void state.ends.push(error),
            },
          );
        },
      },
    )
    .then(
      () => "done" as const,
      (error: unknown) => (error as OutpostError).code,
    );
  return {
    state,
    got,
    gaps,
    faults,
    outcome,
    sender,
    toSource,
    toReader,
    reader,
    stream: () => stream!,
    cancel: () => abort.abort(),
    cutReader: near.cut,
    cutSource: far.cut,
  };
}

/** The byte at each offset, so that a lost, doubled or moved byte shows. */
const content = (from: number, length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => ((from + index) * 31) % 251));

/** Sends up to an offset as credit goes, and says when it has to wait. */
async function sendTo(
  stream: OutgoingStream,
  end: number,
  signal: AbortSignal,
  most = 1 << 20,
): Promise<void> {
  while (stream.offset < end) {
    const length = Math.min(await stream.ready(signal), end - stream.offset, most);
    stream.send(content(stream.offset, length));
  }
}

describe("a relayed stream", () => {
  test("comes whole, at its offsets, with its end before the answer", async () => {
    const relayed = setUp({
      start: 5000,
      window: 100,
      source: async (stream, _gap, signal) => {
        await sendTo(stream, 15_000, signal);
        return undefined;
      },
    });
    expect(await relayed.outcome).toBe("done");
    expect(relayed.state.ends).toEqual([undefined]);
    expect(Buffer.concat(relayed.got.map(({ bytes }) => bytes))).toEqual(content(5000, 10_000));
    expect(relayed.faults).toEqual([]);
  });

  test("waits for its reader's credit: a reader that stands still stops the source, and nothing piles up", async () => {
    let sent = 0;
    const relayed = setUp({
      window: 1000,
      source: async (stream, _gap, signal) => {
        while (sent < 100_000) {
          await stream.ready(signal);
          stream.send(content(sent, 1));
          sent++;
        }
        return undefined;
      },
      onChunk: () => {},
    });
    await expect.poll(() => relayed.state.received).toBe(1000);
    await settled();
    expect(sent).toBe(1000);
    expect([relayed.toReader.bufferedBytes, relayed.toSource.bufferedBytes]).toEqual([0, 0]);
    // It goes on by exactly what is granted.
    relayed.stream().grant(1001);
    await expect.poll(() => relayed.state.received).toBe(1001);
    await settled();
    expect(sent).toBe(1001);
    relayed.cancel();
    expect(await relayed.outcome).toBe("cancelled");
  });

  test("a gap passes, and the reader's credit behind it reaches the source", async () => {
    const relayed = setUp({
      window: 100,
      source: async (stream, gap, signal) => {
        await sendTo(stream, 50, signal);
        gap(60); // inside the credit
        await sendTo(stream, 80, signal);
        gap(10_000); // far beyond it
        await sendTo(stream, 10_500, signal);
        return undefined;
      },
    });
    expect(await relayed.outcome).toBe("done");
    expect(relayed.gaps).toEqual([
      [50, 60],
      [80, 10_000],
    ]);
    expect(relayed.state.received).toBe(50 + 20 + 500);
    for (const { offset, bytes } of relayed.got) expect(bytes).toEqual(content(offset, bytes.length));
  });

  test("a gap that goes back ends the source's connection alone", async () => {
    const relayed = setUp({
      window: 100,
      source: async (stream, gap, signal) => {
        await sendTo(stream, 50, signal);
        gap(20);
        return undefined;
      },
    });
    expect(await relayed.outcome).toBe("protocol_error");
    expect(relayed.toSource.isOpen).toBe(false);
    expect(relayed.toReader.isOpen).toBe(true);
    expect(relayed.state.ends.map((error) => error?.code)).toEqual(["protocol_error"]);
  });

  test("an end with an error keeps it", async () => {
    const relayed = setUp({
      window: 100,
      source: async (stream, _gap, signal) => {
        await sendTo(stream, 10, signal);
        return new OutpostError("disk_full", "no room", { data: { host: "web1" } });
      },
    });
    expect(await relayed.outcome).toBe("disk_full");
    expect(relayed.state.received).toBe(10);
    expect(relayed.state.ends).toMatchObject([{ code: "disk_full", data: { host: "web1" } }]);
  });

  test("a cut of the source's side ends the reader's stream with disconnected, behind what had come", async () => {
    const relayed = setUp({
      window: 100,
      source: async (stream, _gap, signal) => {
        await sendTo(stream, 30, signal);
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        });
        return undefined;
      },
    });
    await expect.poll(() => relayed.state.received).toBe(30);
    relayed.cutSource();
    expect(await relayed.outcome).toBe("disconnected");
    expect(relayed.state.ends.map((error) => error?.code)).toEqual(["disconnected"]);
    expect(relayed.reader.isOpen).toBe(true);
  });

  test("a cut of the reader's side stops the source, and leaves its connection as it is", async () => {
    const stopped = Promise.withResolvers<string>();
    const relayed = setUp({
      window: 100,
      source: async (stream, _gap, signal) => {
        try {
          await sendTo(stream, 1e9, signal);
        } catch (error) {
          stopped.resolve((error as OutpostError).code);
          throw error;
        }
        return undefined;
      },
    });
    await expect.poll(() => relayed.state.received).toBeGreaterThan(1000);
    relayed.cutReader();
    expect(await stopped.promise).toBe("cancelled");
    expect(await relayed.outcome).toBe("disconnected");
    expect([relayed.toSource.isOpen, relayed.sender.isOpen]).toEqual([true, true]);
    expect(relayed.faults).toEqual([]);
  });

  test("what comes after the reader's stream ended is dropped", async () => {
    const [near, far] = [memoryLink(), memoryLink()];
    const peer = (socket: (typeof near.sockets)[0]): Peer<typeof none, typeof none> =>
      new Peer(socket, { local: none, remote: none, handlers: {} });
    const [reader, toReader, toSource, source] = [
      peer(near.sockets[0]),
      peer(near.sockets[1]),
      peer(far.sockets[0]),
      peer(far.sockets[1]),
    ];
    open.push(...([reader, toReader, toSource, source] as never[]));
    const from = source.openStream();
    from.begin(0, 100);
    const out = toReader.openStream();
    out.begin(0, 100);
    relayStream(toSource, from.number, { offset: 0, window: 100 }, out);
    out.end();
    from.send(content(0, 50));
    await settled();
    from.send(content(50, 50));
    from.end();
    await settled();
    expect([toSource.isOpen, toReader.isOpen]).toEqual([true, true]);
  });

  test("the source's first window may be smaller than the reader's: it is granted the rest", async () => {
    const link = memoryLink();
    const peer = (socket: (typeof link.sockets)[0]): Peer<typeof none, typeof none> =>
      new Peer(socket, { local: none, remote: none, handlers: {} });
    const [relay, source] = [peer(link.sockets[0]), peer(link.sockets[1])];
    open.push(relay as never, source as never);
    const from = source.openStream();
    from.begin(10, 0);
    const out = relay.openStream();
    out.begin(10, 77);
    relayStream(relay, from.number, { offset: 10, window: 0 }, out);
    await expect.poll(() => from.sendable).toBe(77);
  });
});

test("whatever the sizes, windows and gaps: every byte once, in order, at its offset", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("send" as const), bytes: fc.nat(5000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("gap" as const), bytes: fc.nat(3000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("turn" as const), bytes: fc.constant(0) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat(10_000),
      fc.integer({ min: 1, max: 4000 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 20 }),
      async (start, window, most, grantEach, steps) => {
        let end = start;
        let chunks = 0;
        const gaps: [number, number][] = [];
        const relayed = setUp({
          start,
          window,
          source: async (stream, gap, signal) => {
            for (const { do: what, bytes } of steps) {
              if (what === "send") await sendTo(stream, stream.offset + bytes, signal, most);
              else if (what === "turn") await settled();
              else {
                gaps.push([stream.offset, stream.offset + bytes]);
                gap(stream.offset + bytes);
              }
            }
            end = stream.offset;
            return undefined;
          },
          // Not at each chunk, but always before it would stand still.
          onChunk(stream) {
            const chunk = relayed.got.at(-1)!;
            const upTo = chunk.offset + chunk.bytes.length;
            if (++chunks % grantEach === 0) stream.grant(upTo + window);
            else setImmediate(() => stream.grant(upTo + window));
          },
        });
        expect(await relayed.outcome).toBe("done");
        expect(relayed.state.ends).toEqual([undefined]);
        expect(relayed.gaps).toEqual(gaps);
        const pieces = [
          ...relayed.got.map(({ offset, bytes }) => [offset, offset + bytes.length] as const),
          ...gaps,
        ]
          .filter(([from, to]) => to > from)
          .sort((a, b) => a[0] - b[0]);
        let at = start;
        for (const [from, to] of pieces) {
          expect(from).toBe(at);
          at = to;
        }
        expect(at).toBe(end);
        for (const { offset, bytes } of relayed.got) expect(bytes).toEqual(content(offset, bytes.length));
        expect(relayed.faults).toEqual([]);
        for (const peer of open.splice(0)) peer.abort(new OutpostError("disconnected", "done"));
      },
    ),
    { numRuns: 60 },
  );
});
