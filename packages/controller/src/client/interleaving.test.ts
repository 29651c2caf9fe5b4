import { encodeTimeline, type OutputName } from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Interleaving, type TimedPiece } from "./interleaving.ts";

interface Write {
  readonly stream: OutputName;
  readonly bytes: Uint8Array;
}

const writes = fc.array(
  fc.record({
    stream: fc.constantFrom<OutputName>("stdout", "stderr"),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 5 }),
  }),
  { maxLength: 12 },
);

/** The three streams of a job that wrote `all`, a microsecond apart. */
function streamsOf(all: readonly Write[]): { stdout: Uint8Array; stderr: Uint8Array; timeline: Uint8Array } {
  const bytes = { stdout: [] as number[], stderr: [] as number[] };
  const records = all.map(({ stream, bytes: written }, index) => {
    bytes[stream].push(...written);
    return { timeUs: index, stream, upTo: bytes[stream].length };
  });
  return {
    stdout: Uint8Array.from(bytes.stdout),
    stderr: Uint8Array.from(bytes.stderr),
    timeline: encodeTimeline(records),
  };
}

test("whatever arrives first, the pieces come in the order and with the times of the writes", () => {
  const arrivals = fc.array(
    fc.record({
      name: fc.constantFrom("stdout", "stderr", "timeline"),
      length: fc.integer({ min: 1, max: 20 }),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(writes, arrivals, (all, order) => {
      const streams = streamsOf(all);
      const at = { stdout: 0, stderr: 0, timeline: 0 };
      const interleaving = new Interleaving({ stdout: 0, stderr: 0 });
      const pieces: TimedPiece[] = [];
      const arrive = (name: keyof typeof at, length: number): void => {
        const bytes = streams[name].subarray(at[name], at[name] + length);
        if (bytes.length === 0) return;
        pieces.push(
          ...(name === "timeline"
            ? interleaving.timeline(bytes)
            : interleaving.output(name, at[name], bytes)),
        );
        at[name] += bytes.length;
      };
      for (const { name, length } of order) arrive(name, length);
      for (const name of ["timeline", "stdout", "stderr"] as const) arrive(name, Number.POSITIVE_INFINITY);
      pieces.push(...interleaving.flush());

      const seen = pieces.map((piece) => {
        if ("gap" in piece) throw new Error("nobody spoke of a gap");
        const { stream, bytes, time } = piece;
        return { stream, time, text: Buffer.from(bytes).toString("hex") };
      });
      const merged: typeof seen = [];
      for (const piece of seen) {
        const last = merged.at(-1);
        if (last !== undefined && last.time === piece.time && last.stream === piece.stream)
          last.text += piece.text;
        else merged.push({ ...piece });
      }
      expect(merged).toEqual(
        all.map(({ stream, bytes }, index) => ({
          stream,
          time: index / 1000,
          text: Buffer.from(bytes).toString("hex"),
        })),
      );
    }),
  );
});

test("bytes that the timeline does not cover come at the end, without a time", () => {
  const interleaving = new Interleaving({ stdout: 0, stderr: 0 });
  expect(interleaving.output("stdout", 0, Buffer.from("ab"))).toEqual([]);
  const [piece] = interleaving.timeline(encodeTimeline([{ timeUs: 1500, stream: "stdout", upTo: 1 }]));
  expect(piece).toMatchObject({ stream: "stdout", offset: 0, time: 1.5 });
  expect(interleaving.flush()).toEqual([{ stream: "stdout", offset: 1, bytes: Buffer.from("b") }]);
});

test("a gap comes in its place, and does not keep what comes after it waiting", () => {
  const interleaving = new Interleaving({ stdout: 0, stderr: 0 });
  interleaving.timeline(
    encodeTimeline([
      { timeUs: 1000, stream: "stdout", upTo: 10 },
      { timeUs: 2000, stream: "stderr", upTo: 1 },
    ]),
  );
  const gap = { from: 4, to: 10, reason: "truncated" } as const;
  expect(interleaving.output("stderr", 0, Buffer.from("e"))).toEqual([]);
  expect(interleaving.output("stdout", 0, Buffer.from("abcd"))).toMatchObject([
    { stream: "stdout", time: 1 },
  ]);
  expect(interleaving.skip("stdout", gap)).toMatchObject([{ gap }, { stream: "stderr", time: 2 }]);
});

test("waits for nothing that does not come: streams that are not wanted, and bytes before the beginning", () => {
  const timeline = encodeTimeline([
    { timeUs: 1000, stream: "stdout", upTo: 100 },
    { timeUs: 2000, stream: "stderr", upTo: 3 },
  ]);
  for (const positions of [{ stderr: 0 }, { stdout: 100, stderr: 0 }]) {
    const interleaving = new Interleaving(positions);
    interleaving.timeline(timeline);
    expect(interleaving.output("stderr", 0, Buffer.from("abc"))).toMatchObject([{ time: 2 }]);
    expect(interleaving.waitingTimelineBytes).toBe(0);
  }
});
