import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Mark, MarkScanner } from "./marks.ts";
import { Sequences } from "./sequences.ts";

const nonce = "n0nce";
const osc = (text: string, end = "\u0007"): string => `\u001b]${text}${end}`;
const mark = (text: string, end?: string): string => osc(`133;${text};aid=${nonce}`, end);

function scan(pieces: readonly Uint8Array[], start = 0): Mark[] {
  const scanner = new MarkScanner(nonce);
  let offset = start;
  return pieces.flatMap((piece) => {
    const marks = scanner.push(offset, piece);
    offset += piece.length;
    return marks;
  });
}

const kindsIn = (text: string): string[] => scan([Buffer.from(text)]).map(({ kind }) => kind);

/** Whether each place in the stream is at rest, found byte by byte. */
function rests(bytes: Uint8Array): boolean[] {
  const sequences = new Sequences();
  return [...bytes].map((byte) => {
    sequences.accept(byte);
    return sequences.atRest;
  });
}

describe("marks", () => {
  test("every kind, with the offset behind it, and either end", () => {
    const text = `x${mark("A")}$ ${mark("B", "\u001b\\")}ls\r\n${mark("C")}out${mark("D;130")}`;
    expect(scan([Buffer.from(text)], 1000)).toEqual([
      { kind: "prompt", offset: 1000 + text.indexOf("$ ") },
      { kind: "input", offset: 1000 + text.indexOf("ls\r") },
      { kind: "command", offset: 1000 + text.indexOf("out") },
      { kind: "done", status: 130, offset: 1000 + text.length },
    ]);
    expect(kindsIn(mark("P") + mark("L"))).toEqual(["continuation", "leave"]);
    expect(scan([Buffer.from(mark("R;job1") + mark("E;7"))])).toMatchObject([
      { kind: "runBegins", job: "job1" },
      { kind: "runEnds", status: 7 },
    ]);
  });

  test("nothing else is one", () => {
    for (const text of [
      osc("133;A"),
      osc("133;A;aid=other"),
      osc(`133;A;aid=${nonce}x`),
      osc(`133;A;aid=x${nonce}`),
      osc(`133;Z;aid=${nonce}`),
      osc(`633;A;aid=${nonce}`),
      `133;A;aid=${nonce}\u0007`,
      `\u001bP133;A;aid=${nonce}\u0007\u001b\\`,
      `\u001b]133;A;aid=${nonce}\u0018`,
      `\u001b]133;A;aid=${nonce}\u001bM`,
      osc(`0;${"x".repeat(10_000)}133;A;aid=${nonce}`),
    ]) {
      expect(kindsIn(text), JSON.stringify(text)).toEqual([]);
      // And the next one is seen.
      expect(kindsIn(`${text}\u001b\\${mark("B")}`), JSON.stringify(text)).toEqual(["input"]);
    }
  });

  test("a prompt that is drawn again says nothing new", () => {
    const prompt = (n: number): string => mark(`D;0;n=${String(n)}`) + mark(`A;n=${String(n)}`) + mark("B");
    expect(kindsIn(prompt(1) + prompt(1) + prompt(2))).toEqual(
      "done prompt input input done prompt input".split(" "),
    );
  });

  const piece = fc.oneof(
    { arbitrary: fc.constantFrom(mark("A"), mark("B", "\u001b\\"), mark("C"), mark("D;3")), weight: 4 },
    fc.constantFrom(
      osc("0;title"),
      osc("133;A;aid=x"),
      "\u001b[1;31m",
      "\u001b(B",
      "\u001bOA",
      "\u001bPq#\u001b\\",
    ),
    fc.constantFrom(
      "\u001b",
      "\u001b]",
      "\u001b[",
      "\u009b1m",
      "\u009d0;x\u009c",
      "\u001b\\",
      "\u0018",
      "é✓🙂",
    ),
    fc.string({ unit: "binary" }),
  );
  const stream = fc.oneof(
    { arbitrary: fc.array(piece).map((pieces) => Buffer.from(pieces.join(""))), weight: 3 },
    fc
      .array(fc.oneof(fc.constantFrom(0x1b, 0x5d, 0x07, 0xc2, 0x9b, 0x5c), fc.integer({ min: 0, max: 255 })))
      .map(Buffer.from),
  );

  test("any cutting of the bytes gives the same marks, and the same places of rest", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat()), (bytes, cuts) => {
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        expect(scan(pieces)).toEqual(scan([...bytes].map((byte) => Uint8Array.of(byte))));
        const expected = rests(bytes);
        const scanner = new MarkScanner(nonce);
        let offset = 0;
        for (const part of pieces) {
          scanner.push(offset, part);
          offset += part.length;
          expect(scanner.atRest).toBe(offset === 0 || expected[offset - 1]);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("rest", () => {
  test.each([
    ["text", "abc\r\n"],
    ["characters", "é✓🙂"],
    ["CSI", "\u001b[?25h"],
    ["charset", "\u001b(B"],
    ["single shift", "\u001bOA"],
    ["OSC", "\u001b]0;✓\u0007"],
    ["DCS", "\u001bPq✓\u0007\u001b\\"],
    ["8-bit CSI as UTF-8", "\u009b1m"],
    ["8-bit OSC and ST as UTF-8", "\u009d0;x\u009c"],
  ])("only between, with %s", (_, text) => {
    const bytes = Buffer.from(text);
    const found = rests(bytes);
    expect(found.at(-1)).toBe(true);
    if (text.startsWith("\u001b") || text.startsWith("\u009b") || text.startsWith("\u009d")) {
      expect(found.slice(0, -1).every((rest) => !rest)).toBe(true);
    } else {
      let whole = "";
      for (const [i, rest] of found.entries()) {
        whole = bytes.subarray(0, i + 1).toString();
        expect(rest).toBe(!whole.endsWith("\ufffd"));
      }
    }
  });

  test("bytes that are no UTF-8 do not hold it up", () => {
    expect(rests(Uint8Array.of(0xff))).toEqual([true]);
    expect(rests(Uint8Array.of(0x80, 0x9b, 0x41))).toEqual([true, true, true]);
    expect(rests(Uint8Array.of(0xe2, 0x41))).toEqual([false, true]);
    expect(rests(Uint8Array.of(0xe2, 0x1b, 0x63))).toEqual([false, false, true]);
  });
});
