import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { maxLineBytes } from "./audit-line.ts";
import { endOfLines, type Line, linesBackwards, linesOf } from "./lines.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-lines-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function withFile<T>(content: string, use: (file: number, size: number) => T): T {
  const path = join(directory, "file");
  writeFileSync(path, content);
  const file = openSync(path, "r");
  try {
    return use(file, Buffer.byteLength(content));
  } finally {
    closeSync(file);
  }
}

const texts = (lines: Iterable<readonly Line[]>): (string | undefined)[] =>
  [...lines].flat().map((line) => line?.toString());

test("lines from both ends are those between newlines, wherever the blocks begin", () => {
  const content = fc.string({ unit: fc.constantFrom("a", "b", "\n", "é"), maxLength: 40 });
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 9 }), (text, blockBytes) => {
      withFile(text, (file, size) => {
        const end = endOfLines(file, size, blockBytes);
        expect(end).toBe(Buffer.from(text).lastIndexOf(10) + 1);
        const expected = text.split("\n").slice(0, -1);
        expect(texts(linesOf(file, end, blockBytes))).toEqual(expected);
        expect(texts(linesBackwards(file, end, blockBytes))).toEqual(expected.toReversed());
      });
    }),
    { numRuns: 2_000 },
  );
});

test("a line that is longer than any of ours is none, and those around it are there", () => {
  const long = "x".repeat(maxLineBytes + 1);
  withFile(`a\n${long}\nb\n`, (file, size) => {
    expect(texts(linesOf(file, size))).toEqual(["a", undefined, "b"]);
    expect(texts(linesBackwards(file, size))).toEqual(["b", undefined, "a"]);
  });
  withFile(`${long.slice(1)}\n`, (file, size) => {
    expect(texts(linesOf(file, size))).toEqual([long.slice(1)]);
    expect(texts(linesBackwards(file, size))).toEqual([long.slice(1)]);
  });
});

test("a file that is cut off while it is read ends there", () => {
  withFile("a\nb\n", (file) => expect(texts(linesOf(file, 100))).toEqual(["a", "b"]));
});
