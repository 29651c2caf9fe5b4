import {
  type AttachChanged,
  type AttachRepaint,
  ErrorCode,
  limits,
  newViewerId,
  OutgoingStream,
  OutpostError,
  type SessionGap,
} from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ViewedOutput, Viewer } from "./viewer.ts";

/** Output in memory, of which a test may forget the beginning. */
class FakeOutput implements ViewedOutput {
  bytes = Buffer.alloc(0);
  forgotten = 0;

  get end(): number {
    return this.bytes.length;
  }
  read(offset: number, block: Uint8Array): number {
    return this.bytes.copy(block, 0, offset);
  }
  kept(offset: number): number {
    return Math.max(offset, this.forgotten);
  }
  missing() {
    return "dropped" as const;
  }
  snapshot() {
    const snapshot = { offset: this.end, columns: 80, rows: 24, bytes: Buffer.from("screen") };
    return new Promise<typeof snapshot>((resolve) => setImmediate(() => resolve(snapshot)));
  }
}

type Sent =
  | { readonly chunk: string; readonly offset: number }
  | { readonly gap: SessionGap }
  | { readonly repaint: AttachRepaint }
  | { readonly changed: AttachChanged }
  | { readonly end: OutpostError | undefined };

interface Attached {
  readonly viewer: Viewer;
  readonly stream: OutgoingStream;
  readonly sent: Sent[];
  readonly leave: AbortController;
  produce(text: string): void;
}

function attach(
  output: FakeOutput,
  options: { position?: number; window?: number; maxLag?: number } = {},
): Attached {
  const { position = output.end, window = 100, maxLag } = options;
  const sent: Sent[] = [];
  const stream = new OutgoingStream(1, {
    sendChunk: (_, offset, bytes) => sent.push({ chunk: Buffer.from(bytes).toString(), offset }),
    sendCredit: () => {},
    sendEnd: (_, error) => sent.push({ end: error }),
    writable: () => Promise.resolve(),
  });
  stream.begin(position, window);
  const leave = new AbortController();
  const shape = { operator: "ada", role: "control", since: 0, columns: 80, rows: 24 } as const;
  const viewer = new Viewer({ viewer: newViewerId(), ...shape, position, maxLag }, output, {
    stream,
    signal: leave.signal,
    hasRoom: () => true,
    gap: (gap) => sent.push({ gap }),
    repaint: (repaint) => sent.push({ repaint }),
    changed: (changed) => sent.push({ changed }),
  });
  viewer.done.catch(() => {});
  const produce = (text: string): void => {
    const offset = output.end;
    output.bytes = Buffer.concat([output.bytes, Buffer.from(text)]);
    viewer.produced(offset, Buffer.from(text));
  };
  return { viewer, stream, sent, leave, produce };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a live viewer is sent output in the same turn", () => {
  const { viewer, sent, produce } = attach(new FakeOutput());
  viewer.start("none");
  produce("echo");
  expect(sent).toEqual([{ chunk: "echo", offset: 0 }]);
});

test("a repaint comes after what was there, and before what came since", async () => {
  const output = new FakeOutput();
  output.bytes = Buffer.from("before");
  const { viewer, sent, produce } = attach(output, { position: 3 });
  viewer.start("screen");
  produce("after");
  await expect.poll(() => sent.length).toBe(3);
  expect(sent).toEqual([
    { chunk: "ore", offset: 3 },
    { repaint: expect.objectContaining({ offset: 6 }) },
    { chunk: "after", offset: 6 },
  ]);
});

test("without credit it waits, and goes on from the log", async () => {
  const { viewer, stream, sent, produce } = attach(new FakeOutput(), { window: 4 });
  viewer.start("none");
  produce("abcdefgh");
  produce("ij");
  await turn();
  expect(sent).toEqual([{ chunk: "abcd", offset: 0 }]);
  stream.credited(20);
  await turn();
  produce("k");
  expect(sent).toEqual([
    { chunk: "abcd", offset: 0 },
    { chunk: "efghij", offset: 4 },
    { chunk: "k", offset: 10 },
  ]);
});

test("too far behind, it is told what is left out, and shown the screen", async () => {
  const { viewer, stream, sent, produce } = attach(new FakeOutput(), { window: 4, maxLag: 50 });
  viewer.start("none");
  produce("abcd");
  produce("x".repeat(100));
  await turn();
  expect(viewer.neededFrom).toBe(54);
  expect(sent).toHaveLength(1);
  stream.credited(8);
  await expect.poll(() => sent.length).toBe(3);
  expect(sent.slice(1)).toEqual([
    { gap: { from: 4, to: 104, reason: "lagging" } },
    { repaint: expect.objectContaining({ offset: 104 }) },
  ]);
  stream.credited(200);
  produce("on");
  expect(sent.at(-1)).toEqual({ chunk: "on", offset: 104 });
});

test("what is gone is a gap, and then a repaint", async () => {
  const output = new FakeOutput();
  output.bytes = Buffer.from("0123456789");
  output.forgotten = 5;
  const { viewer, sent } = attach(output, { position: 0 });
  viewer.start("none");
  await expect.poll(() => sent.length).toBe(2);
  expect(sent).toEqual([
    { gap: { from: 0, to: 10, reason: "dropped" } },
    { repaint: expect.objectContaining({ offset: 10 }) },
  ]);
});

test("told to finish, it leaves when it has everything; told to leave, at once", async () => {
  const finishing = attach(new FakeOutput(), { window: 2 });
  finishing.viewer.start("none");
  finishing.produce("abcd");
  finishing.viewer.finish({ reason: "ended" });
  await turn();
  expect(finishing.sent).toEqual([{ chunk: "ab", offset: 0 }]);
  finishing.stream.credited(10);
  expect(await finishing.viewer.done).toEqual({ reason: "ended" });
  expect(finishing.sent.slice(1)).toEqual([{ chunk: "cd", offset: 2 }, { end: undefined }]);

  const leaving = attach(new FakeOutput(), { window: 2 });
  leaving.viewer.start("none");
  leaving.produce("abcd");
  leaving.viewer.leave({ reason: "disconnected", by: "bob" });
  expect(await leaving.viewer.done).toEqual({ reason: "disconnected", by: "bob" });
  expect(leaving.sent.at(-1)).toEqual({ end: undefined });
});

test("cut off, it ends with the reason", async () => {
  const { viewer, leave, sent } = attach(new FakeOutput());
  viewer.start("none");
  const reason = new OutpostError(ErrorCode.disconnected, "cut");
  leave.abort(reason);
  await expect(viewer.done).rejects.toBe(reason);
  expect(sent).toEqual([{ end: reason }]);
});

const step = fc.oneof(
  fc.record({ do: fc.constant("produce" as const), length: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ do: fc.constant("credit" as const), bytes: fc.integer({ min: 1, max: 80 }) }),
  fc.record({ do: fc.constant("turn" as const) }),
  fc.record({ do: fc.constant("forget" as const), bytes: fc.nat(100) }),
);

test("whatever the pace: chunks and gaps follow on each other, and every byte is the right one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const output = new FakeOutput();
      const { viewer, stream, sent, produce } = attach(output, { window: 20, maxLag: 150 });
      viewer.start("screen");
      let letter = 0;
      for (const action of steps) {
        if (action.do === "produce")
          produce(
            Array.from({ length: action.length }, () => String.fromCharCode(97 + (letter++ % 26))).join(""),
          );
        else if (action.do === "credit") stream.credited(stream.offset + action.bytes);
        else if (action.do === "forget")
          output.forgotten = Math.min(output.end, output.forgotten + action.bytes);
        else await turn();
      }
      viewer.finish({ reason: "ended" });
      for (let i = 0; i < 20; i++) {
        stream.credited(stream.offset + limits.defaultWindowBytes);
        await turn();
      }
      expect(await viewer.done).toEqual({ reason: "ended" });
      let at = 0;
      let repaintDue: number | undefined = 0;
      for (const event of sent) {
        if ("chunk" in event) {
          expect(repaintDue === undefined || event.offset < repaintDue).toBe(true);
          expect(event.offset).toBe(at);
          expect(event.chunk).toBe(output.bytes.toString("utf8", at, at + event.chunk.length));
          at += event.chunk.length;
        } else if ("gap" in event) {
          expect(event.gap.from).toBe(at);
          at = event.gap.to;
          repaintDue = at;
        } else if ("repaint" in event) {
          expect(event.repaint.offset).toBe(at);
          repaintDue = undefined;
        }
      }
      expect(at).toBe(output.end);
    }),
    { numRuns: 200 },
  );
});
