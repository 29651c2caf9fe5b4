import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockBytes } from "./content-tree.ts";
import { Grouping } from "./grouping.ts";

type Piece = { readonly stream: "stdout" | "stderr"; readonly bytes: Buffer } | { readonly note: string };

/** Contents that agree for a while: pieces around the size of a block, of few kinds. */
const content = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom("stdout", "stderr"),
          fc.constantFrom(1, 2),
          fc.constantFrom(1, 100, blockBytes - 1, blockBytes, blockBytes + 1),
        )
        .map(([stream, value, length]): Piece => ({
          stream: stream as "stdout",
          bytes: Buffer.alloc(length, value),
        })),
    },
    { weight: 1, arbitrary: fc.constantFrom("a", "b").map((note): Piece => ({ note })) },
  ),
  { maxLength: 5 },
);

/** What a naive grouping would compare. */
function whole(pieces: readonly Piece[], ending: string): string {
  const streams = { stdout: "", stderr: "" };
  for (const piece of pieces) {
    if ("note" in piece) streams.stdout += `<${piece.note}>`;
    else streams[piece.stream] += piece.bytes.toString("latin1");
  }
  return JSON.stringify([streams, ending]);
}

/** Bytes cut at random places. */
function cut(piece: Piece, places: readonly number[]): Piece[] {
  if ("note" in piece) return [piece];
  const { stream, bytes } = piece;
  const sorted = [
    0,
    ...places.filter((place) => place < bytes.byteLength).toSorted((a, b) => a - b),
    bytes.byteLength,
  ];
  return sorted.slice(1).map((to, at) => ({ stream, bytes: bytes.subarray(sorted[at], to) }));
}

describe("groups", () => {
  test("are those of the whole contents, however they come", async () => {
    const host = fc.record({
      pieces: content,
      ending: fc.constantFrom("exit 0", "exit 1"),
      cuts: fc.array(fc.nat(blockBytes)),
    });
    const order = fc.infiniteStream(fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(fc.array(host, { minLength: 1, maxLength: 6 }), order, async (hosts, next) => {
        await using grouping = new Grouping({ budgetBytes: 8192, slabBytes: 4096 });
        const queues = hosts.map(({ pieces, cuts }, at) => ({
          name: `web${String(at)}`,
          left: pieces.flatMap((piece) => cut(piece, cuts)),
        }));
        for (let open = queues; open.length > 0; open = open.filter(({ left }) => left.length > 0)) {
          const { name, left } = open[next.next().value % open.length]!;
          const piece = left.shift();
          if (piece === undefined) continue;
          if ("note" in piece) await grouping.note(name, "stdout", piece.note);
          else await grouping.push(name, piece.stream, piece.bytes);
        }
        const asked = hosts.map(({ ending }, at) => ({ host: `web${String(at)}`, ending }));
        const groups = await grouping.groups(asked);

        const naive = Map.groupBy(asked, ({ host: name }) => {
          const { pieces, ending } = hosts[Number(name.slice(3))]!;
          return whole(pieces, ending);
        });
        expect(groups.map((group) => group.hosts)).toEqual(
          [...naive.values()].map((group) => group.map((each) => each.host)),
        );
        for (const group of groups) {
          const { pieces } = hosts[Number(group.hosts[0]!.slice(3))]!;
          const read = (["stdout", "stderr"] as const).flatMap((stream) =>
            [...grouping.read(group[stream])].map(({ kind, bytes }): Piece =>
              kind === "note" ? { note: bytes.toString() } : { stream, bytes },
            ),
          );
          expect(whole(read, "") === whole(pieces, "")).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("notes are no output: text that looks like one is not one", async () => {
    await using grouping = new Grouping();
    await grouping.note("web1", "stdout", "a");
    await grouping.push("web2", "stdout", Buffer.from("a"));
    const ending = "exit 0";
    expect(
      await grouping.groups([
        { host: "web1", ending },
        { host: "web2", ending },
      ]),
    ).toHaveLength(2);
  });
});

describe("memory", () => {
  test("equal contents are kept once", async () => {
    await using grouping = new Grouping();
    const bytes = Buffer.alloc(100_000, "the same line\n");
    for (let host = 0; host < 50; host++) await grouping.push(`web${String(host)}`, "stdout", bytes);
    const rests = 50 * (bytes.byteLength % blockBytes);
    expect(grouping.storedBytes).toBe(bytes.byteLength - (bytes.byteLength % blockBytes));
    expect(grouping.heldBytes).toBeLessThan(rests + 2 * 1024 * 1024);
  });

  test("different contents take the budget, and a little for each block", async () => {
    const budgetBytes = 1024 * 1024;
    await using grouping = new Grouping({ budgetBytes });
    const bytes = Buffer.alloc(128 * blockBytes);
    const total = 100 * bytes.byteLength;
    for (let host = 0; host < 100; host++) {
      for (let at = 0; at < bytes.byteLength; at += blockBytes) bytes.writeUInt32LE(host, at);
      await grouping.push(`web${String(host)}`, "stdout", bytes);
    }
    expect(grouping.storedBytes).toBe(total);
    const slab = 1024 * 1024;
    expect(grouping.heldBytes).toBeLessThan(budgetBytes + slab + (total / blockBytes) * 150);
  });
});
