import type { OutputName, TimelineRecord } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Interleaving } from "./interleaving.ts";

interface Piece {
  readonly stream: OutputName;
  readonly bytes: number;
}

const pieces = fc.array(
  fc.record({
    stream: fc.constantFrom<OutputName>("stdout", "stderr"),
    bytes: fc.integer({ min: 1, max: 50 }),
  }),
  { maxLength: 40 },
);

function timelineOf(written: readonly Piece[]): {
  records: TimelineRecord[];
  extents: Record<OutputName, number>;
} {
  const extents = { stdout: 0, stderr: 0 };
  const records = written.map(({ stream, bytes }, timeUs) => ({
    timeUs,
    stream,
    upTo: (extents[stream] += bytes),
  }));
  return { records, extents };
}

/** Sends everything, each time at most `step` bytes, with credit as `credit` says. */
async function send(
  written: readonly Piece[],
  from: Record<OutputName, number>,
  step: number,
  credit: (stream: OutputName, turn: number) => boolean,
): Promise<Piece[]> {
  const { records, extents } = timelineOf(written);
  const at = { ...from };
  const sent: Piece[] = [];
  const interleaving = new Interleaving();
  const waiting = [...records];
  for (let turn = 0; turn < 10_000; turn++) {
    const lane = (stream: OutputName) => ({
      at: at[stream],
      open: at[stream] < extents[stream] && credit(stream, turn),
    });
    const lanes = { stdout: lane("stdout"), stderr: lane("stderr") };
    const chosen = await interleaving.choose(lanes, extents, () => Promise.resolve(waiting.shift()));
    if (chosen === undefined) {
      if (at.stdout >= extents.stdout && at.stderr >= extents.stderr) return sent;
      continue;
    }
    const bytes = Math.min(step, interleaving.limit(chosen) - at[chosen]);
    expect(bytes).toBeGreaterThan(0);
    expect(lanes[chosen].open).toBe(true);
    at[chosen] += bytes;
    const last = sent.at(-1);
    if (last?.stream === chosen) sent[sent.length - 1] = { stream: chosen, bytes: last.bytes + bytes };
    else sent.push({ stream: chosen, bytes });
  }
  throw new Error("it does not end");
}

function joined(written: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const piece of written) {
    const last = result.at(-1);
    if (last?.stream === piece.stream)
      result[result.length - 1] = { ...piece, bytes: last.bytes + piece.bytes };
    else result.push(piece);
  }
  return result;
}

describe("the order of sending", () => {
  it("is that of writing, in whatever pieces it goes", async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 100 }), async (written, step) => {
        const sent = await send(written, { stdout: 0, stderr: 0 }, step, () => true);
        expect(sent).toEqual(joined(written));
      }),
    );
  });

  it("is kept when all streams have credit only now and then", async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.array(fc.boolean(), { minLength: 5 }), async (written, mask) => {
        const credit = (_: OutputName, turn: number): boolean => turn > 500 || mask[turn % mask.length]!;
        expect(await send(written, { stdout: 0, stderr: 0 }, 7, credit)).toEqual(joined(written));
      }),
    );
  });

  it("sends every byte once, from wherever, whichever stream starves for a while", async () => {
    await fc.assert(
      fc.asyncProperty(
        pieces,
        fc.nat(100),
        fc.nat(100),
        fc.nat(50),
        async (written, stdout, stderr, until) => {
          const { extents } = timelineOf(written);
          const from = { stdout: Math.min(stdout, extents.stdout), stderr: Math.min(stderr, extents.stderr) };
          const sent = await send(written, from, 9, (stream, turn) => stream === "stdout" || turn > until);
          for (const name of ["stdout", "stderr"] as const) {
            const total = sent
              .filter(({ stream }) => stream === name)
              .reduce((sum, { bytes }) => sum + bytes, 0);
            expect(total).toBe(extents[name] - from[name]);
          }
        },
      ),
    );
  });

  it("is not held up by a stream that never has credit", async () => {
    const interleaving = new Interleaving();
    const { records, extents } = timelineOf([
      { stream: "stderr", bytes: 5 },
      { stream: "stdout", bytes: 5 },
    ]);
    const lanes = { stdout: { at: 0, open: true }, stderr: { at: 0, open: false } };
    expect(await interleaving.choose(lanes, extents, () => Promise.resolve(records.shift()))).toBe("stdout");
  });

  it("goes on where there is no timeline", async () => {
    const interleaving = new Interleaving();
    const lanes = { stdout: { at: 0, open: true }, stderr: { at: 0, open: true } };
    const none = (): Promise<undefined> => Promise.resolve(undefined);
    expect(await interleaving.choose(lanes, { stdout: 3, stderr: 4 }, none)).toBe("stdout");
    expect(interleaving.limit("stdout")).toBe(3);
  });
});
