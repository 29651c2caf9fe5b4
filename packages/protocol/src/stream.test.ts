import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OutpostError } from "./errors.ts";
import { maxChunkBytes } from "./limits.ts";
import { IncomingStream, OutgoingStream, type StreamLink } from "./stream.ts";

/** A connection between one outgoing and one incoming stream, on which frames wait until the test lets them through. */
class Wire {
  readonly down: ((to: IncomingStream) => void)[] = [];
  readonly up: ((to: OutgoingStream) => void)[] = [];
  readonly sender: StreamLink = {
    sendChunk: (_stream, offset, bytes) => void this.down.push((to) => to.arrived(offset, bytes)),
    sendEnd: (_stream, error) => void this.down.push((to) => to.finished(error)),
    sendCredit: () => expect.unreachable(),
    writable: () => Promise.resolve(),
  };
  readonly receiver: StreamLink = {
    sendCredit: (_stream, upTo) => void this.up.push((to) => to.credited(upTo)),
    sendChunk: () => expect.unreachable(),
    sendEnd: () => expect.unreachable(),
    writable: () => Promise.resolve(),
  };
}

function pair(offset: number, window: number) {
  const wire = new Wire();
  const got: { offset: number; bytes: Uint8Array }[] = [];
  const ends: (OutpostError | undefined)[] = [];
  const out = new OutgoingStream(1, wire.sender);
  out.begin(offset, window);
  const into = new IncomingStream(
    1,
    wire.receiver,
    { offset, window },
    {
      chunk: (at, bytes) => void got.push({ offset: at, bytes }),
      end: (error) => void ends.push(error),
    },
  );
  return { wire, out, into, got, ends };
}

/** The byte at each offset, so that a lost, doubled or moved byte shows. */
const content = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => ((from + index) * 31) % 251);

describe("credit, in any interleaving", () => {
  const window = 100;
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("send" as const), bytes: fc.nat(150) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("skip" as const), bytes: fc.nat(400) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("down" as const), bytes: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("up" as const), bytes: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("consume" as const), bytes: fc.nat(150) }) },
  );

  test("never beyond the credit, no byte lost, doubled or moved, and it always goes on", () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.array(step, { maxLength: 80 }), (start, steps) => {
        const { wire, out, into, got, ends } = pair(start, window);
        const gaps: [number, number][] = [];
        let consumed = 0;
        const received = (): number => got.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
        const consume = (bytes: number): void => {
          const fresh = Math.min(bytes, received() - consumed);
          consumed += fresh;
          grant();
        };
        // The reader's rule: what it holds and what may still come never exceed its window.
        const grant = (): void => into.grant(into.offset + window - (received() - consumed));
        const send = (bytes: number): void => {
          const length = Math.min(bytes, out.sendable);
          if (length > 0) out.send(content(out.offset, length));
        };
        const run = (what: (typeof steps)[number]): void => {
          switch (what.do) {
            case "send":
              send(what.bytes);
              break;
            case "skip": {
              const to = out.offset + what.bytes;
              gaps.push([out.offset, to]);
              wire.down.push((stream) => {
                stream.skipTo(to);
                grant();
              });
              out.skipTo(to);
              break;
            }
            case "down":
              wire.down.shift()?.(into);
              break;
            case "up":
              wire.up.shift()?.(out);
              break;
            case "consume":
              consume(what.bytes);
              break;
          }
          expect(received() - consumed).toBeLessThanOrEqual(window);
        };
        steps.forEach(run);

        // Whatever happened, it never stands still for ever: all frames arrive, all is consumed, then more can be sent.
        for (let round = 0; round < 3; round++) {
          while (wire.down.length > 0) run({ do: "down", bytes: 0 });
          run({ do: "consume", bytes: Number.MAX_SAFE_INTEGER });
          while (wire.up.length > 0) run({ do: "up", bytes: 0 });
        }
        expect(out.sendable).toBeGreaterThan(0);
        send(1);
        out.end();
        while (wire.down.length > 0) run({ do: "down", bytes: 0 });
        expect(ends).toEqual([undefined]);

        // The chunks and the gaps together are every byte from the start to the end, once, in order.
        const pieces = [
          ...got.map((chunk) => [chunk.offset, chunk.offset + chunk.bytes.length] as [number, number]),
          ...gaps,
        ]
          .filter(([from, to]) => to > from)
          .sort((a, b) => a[0] - b[0]);
        let at = start;
        for (const [from, to] of pieces) {
          expect(from).toBe(at);
          at = to;
        }
        expect(at).toBe(out.offset);
        for (const chunk of got) expect(chunk.bytes).toEqual(content(chunk.offset, chunk.bytes.length));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the sender", () => {
  test("refuses to send beyond the credit", () => {
    const { out } = pair(0, 10);
    out.send(new Uint8Array(10));
    expect(() => out.send(new Uint8Array(1))).toThrow("beyond the credit");
  });

  test("cuts large sends into chunks of the largest size", () => {
    const { wire, out, into, got } = pair(0, 2 * maxChunkBytes + 1);
    out.send(new Uint8Array(2 * maxChunkBytes + 1));
    for (const frame of wire.down) frame(into);
    expect(got.map((chunk) => chunk.bytes.length)).toEqual([maxChunkBytes, maxChunkBytes, 1]);
  });

  test("ready waits for credit, and says at most one chunk", async () => {
    const { out } = pair(0, 0);
    const ready = out.ready();
    out.credited(10_000_000);
    await expect(ready).resolves.toBe(maxChunkBytes);
    expect(out.sendable).toBe(10_000_000);
  });

  test("everybody who waits for credit is woken, not only the last", async () => {
    const { out } = pair(0, 0);
    const both = Promise.all([out.ready(), out.ready()]);
    out.credited(5);
    await expect(both).resolves.toEqual([5, 5]);
  });

  test("ready ends with the signal, and leaves no listener behind", async () => {
    const { out } = pair(0, 0);
    const controller = new AbortController();
    const ready = out.ready(controller.signal);
    controller.abort(new OutpostError("cancelled", "enough"));
    await expect(ready).rejects.toMatchObject({ code: "cancelled" });
  });

  test("ready fails when the stream ends or the connection goes, before and after", async () => {
    const { out } = pair(0, 0);
    const ready = out.ready();
    out.disconnected(new OutpostError("disconnected", "cut"));
    await expect(ready).rejects.toMatchObject({ code: "disconnected" });
    await expect(out.ready()).rejects.toMatchObject({ code: "disconnected" });
    expect(() => out.send(new Uint8Array(0))).toThrow("cut");
  });

  test("credit never shrinks, and none counts after the end", () => {
    const { out } = pair(100, 50);
    out.credited(120);
    expect(out.sendable).toBe(50);
    out.end();
    out.credited(1000);
    expect(out.sendable).toBe(50);
  });

  test("ending twice says it once", () => {
    const { wire, out } = pair(0, 0);
    out.end();
    out.end(new OutpostError("internal", "again"));
    expect(wire.down).toHaveLength(1);
  });
});

describe("the receiver", () => {
  const some = Uint8Array.of(1, 2, 3);

  test("refuses a chunk at another offset than is due", () => {
    const { into } = pair(10, 100);
    expect(() => into.arrived(11, some)).toThrow("where 10 was due");
    expect(() => into.arrived(9, some)).toThrow("where 10 was due");
  });

  test("refuses bytes beyond what it granted, to the byte", () => {
    const { into, got } = pair(10, 3);
    into.arrived(10, some);
    expect(got).toHaveLength(1);
    expect(() => into.arrived(13, some.subarray(0, 1))).toThrow("beyond the credit");
    expect(() => into.arrived(13, new Uint8Array(0))).not.toThrow();
  });

  test("refuses a chunk after the end", () => {
    const { into } = pair(0, 100);
    into.finished(undefined);
    expect(() => into.arrived(0, some)).toThrow("after the end");
  });

  test("drops what still comes once it is ignored, its end too, and grants nothing", () => {
    const { wire, into, got, ends } = pair(0, 100);
    into.ignore();
    into.arrived(77, some);
    into.grant(1000);
    into.finished(undefined);
    expect([got, ends, wire.up]).toEqual([[], [], []]);
  });

  test("ends once", () => {
    const { into, ends } = pair(0, 100);
    into.finished(undefined);
    into.finished(new OutpostError("disconnected", "cut"));
    expect(ends).toEqual([undefined]);
  });

  test("behind a gap the sender waits for a grant, and the receiver may count from there", () => {
    const { wire, out, into } = pair(0, 100);
    out.send(new Uint8Array(30));
    for (const frame of wire.down.splice(0)) frame(into);
    out.skipTo(5000);
    expect(out.sendable).toBe(0);
    into.skipTo(5000);
    expect(wire.up).toEqual([]);
    into.grant(5070);
    for (const frame of wire.up) frame(out);
    expect(out.sendable).toBe(70);
  });

  test("a gap inside the credit leaves the credit as it is", () => {
    const { out, into } = pair(0, 100);
    out.skipTo(60);
    into.skipTo(60);
    expect(out.sendable).toBe(40);
    expect(() => into.arrived(60, new Uint8Array(40))).not.toThrow();
    expect(() => into.arrived(100, new Uint8Array(1))).toThrow("beyond the credit");
  });
});
