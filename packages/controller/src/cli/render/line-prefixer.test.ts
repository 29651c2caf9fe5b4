import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LinePrefixer, maxHeldBytes } from "./line-prefixer.ts";

const prefix = Buffer.from("web1: ");

/** Pushes the pieces and flushes; what came out, piece by piece. */
function through(pieces: readonly Uint8Array[]): Buffer[] {
  const prefixer = new LinePrefixer();
  const out = pieces.map((piece) => prefixer.push(piece, prefix));
  return [...out, prefixer.flush()];
}

const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString("latin1");

describe("lines", () => {
  test("each gets the prefix, and the last one an end", () => {
    expect(text(through([Buffer.from("a\n\nb")]))).toBe("web1: a\nweb1: \nweb1: b\n");
  });

  test("a line is given out when it is whole", () => {
    expect(through([Buffer.from("ab"), Buffer.from("c\nd")]).map(String)).toEqual([
      "",
      "web1: abc\n",
      "web1: d\n",
    ]);
  });

  test("nothing in, nothing out", () => expect(text(through([]))).toBe(""));

  test("a line keeps the prefix that it began with", () => {
    const prefixer = new LinePrefixer();
    prefixer.push(Buffer.from("a"), Buffer.from("1 "));
    expect(String(prefixer.push(Buffer.from("b\nc\n"), Buffer.from("2 ")))).toBe("1 ab\n2 c\n");
  });

  test("what is held is a copy: the chunk may be used again", () => {
    const prefixer = new LinePrefixer();
    const chunk = Buffer.from("held");
    prefixer.push(chunk, prefix);
    chunk.fill("x");
    expect(String(prefixer.flush())).toBe("web1: held\n");
  });
});

test("a line without an end is broken at 64 KiB, and no more than that is held", () => {
  const prefixer = new LinePrefixer();
  const out = [prefixer.push(Buffer.alloc(maxHeldBytes * 2 + 5, "x"), prefix)];
  expect(prefixer.heldBytes).toBe(5);
  out.push(prefixer.flush());
  const lines = text(out).split("\n");
  expect(lines.map((line) => line.length - prefix.length)).toEqual([
    maxHeldBytes,
    maxHeldBytes,
    5,
    -prefix.length,
  ]);
});

describe("for any bytes, cut anywhere", () => {
  const bytes = fc
    .uint8Array({ maxLength: 200 })
    .map((array) => array.map((byte) => (byte % 5 === 0 ? 10 : byte)));
  const pieces = fc.array(bytes, { maxLength: 8 });

  test("without the prefixes, what comes out is what went in", () => {
    fc.assert(
      fc.property(pieces, (chunks) => {
        const input = text(chunks.map((chunk) => Buffer.from(chunk)));
        const expected = input === "" || input.endsWith("\n") ? input : `${input}\n`;
        const stripped = text(through(chunks)).replaceAll(/^web1: /gm, "");
        expect(stripped).toBe(expected);
      }),
    );
  });

  test("how it was cut does not matter", () => {
    fc.assert(
      fc.property(pieces, (chunks) => {
        expect(text(through(chunks))).toBe(text(through([Buffer.concat(chunks)])));
      }),
    );
  });

  test("only whole lines come out before the end", () => {
    fc.assert(
      fc.property(pieces, (chunks) => {
        for (const piece of through(chunks).filter(({ length }) => length > 0)) expect(piece.at(-1)).toBe(10);
      }),
    );
  });
});
