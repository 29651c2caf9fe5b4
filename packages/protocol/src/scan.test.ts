import { describe, expect, test } from "vitest";
import { maxNestingDepth, maxValuesPerMessage } from "./limits.ts";
import { scan } from "./scan.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("lengths are checked before anything is made for them", () => {
  test.each([
    ["a byte string of 4 GiB", "c6 ffffffff", "cut off"],
    ["a string of 4 GiB", "db ffffffff", "cut off"],
    ["an array of 4 G elements", "dd ffffffff", "more than"],
    ["a map of 4 G pairs", "df ffffffff", "more than"],
    ["an array of 65,535 elements that are not there", "dc ffff", "cut off"],
    ["many small lies", `dc 0010 ${"dd 00100000 ".repeat(16)}`, "more than"],
  ])("%s", (_name, text, message) => {
    const before = process.memoryUsage().rss;
    expect(() => scan(bytes(text))).toThrow(message);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});

test.each(["c7 01 05 00", "c8 0001 05 00", "c9 00000001 05 00", "d4 05 00", "d5 05 0000", "d6 ff 00000000"])(
  "an extension is refused: %s",
  (text) => expect(() => scan(bytes(text))).toThrow("extension"),
);

test("the one type byte that MessagePack never uses is refused", () => {
  expect(() => scan(bytes("c1"))).toThrow("0xc1");
});

test("nesting is allowed up to the limit and refused beyond, without recursion", () => {
  const nested = (depth: number): Uint8Array => bytes(`${"91".repeat(depth)}c0`);
  expect(() => scan(nested(maxNestingDepth))).not.toThrow();
  expect(() => scan(nested(maxNestingDepth + 1))).toThrow("nests deeper");
  expect(() => scan(nested(1_000_000))).toThrow("nests deeper");
  expect(() => scan(bytes("81 a161 ".repeat(maxNestingDepth + 1)))).toThrow("nests deeper");
});

test("values are counted over the whole message", () => {
  const flat = (count: number): Uint8Array => {
    const message = Buffer.alloc(5 + count);
    message.writeUInt8(0xdd, 0);
    message.writeUInt32BE(count, 1);
    return message;
  };
  expect(() => scan(flat(maxValuesPerMessage))).not.toThrow();
  expect(() => scan(flat(maxValuesPerMessage + 1))).toThrow("more than");
});

test("siblings after a nested value are still counted right", () => {
  expect(() => scan(bytes("93 91 01 80 02"))).not.toThrow();
  expect(() => scan(bytes("93 91 01 80"))).toThrow("cut off");
  expect(() => scan(bytes("93 91 01 80 02 03"))).toThrow("after its value");
});
