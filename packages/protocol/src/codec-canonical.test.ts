/** The one form that is signed. Other languages write it from `docs/protocol.md`; these bytes are what they must get. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeCanonical } from "./codec.ts";
import { maxNestingDepth } from "./limits.ts";
import type { Statement } from "./messages/authorization.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

describe("golden bytes", () => {
  test.each<[string, unknown, string]>([
    ["2^31 - 1", 2 ** 31 - 1, "ce 7fffffff"],
    ["2^31", 2 ** 31, "ce 80000000"],
    ["-2^31", -(2 ** 31), "d2 80000000"],
    ["-2^31 - 1", -(2 ** 31) - 1, "d3 ffffffff7fffffff"],
    ["2^32 - 1", 2 ** 32 - 1, "ce ffffffff"],
    ["2^32", 2 ** 32, "d3 0000000100000000"],
    ["2^32 + 1", 2 ** 32 + 1, "d3 0000000100000001"],
    ["2^53 - 1", 2 ** 53 - 1, "d3 001fffffffffffff"],
    ["-2^53 + 1", -(2 ** 53) + 1, "d3 ffe0000000000001"],
    // No whole number that a double holds exactly any more.
    ["2^53", 2 ** 53, "cb 4340000000000000"],
    ["a fraction", 0.1, "cb 3fb999999999999a"],
    ["small numbers", [0, 127, 128, 255, 256, -1, -32, -33], "98 00 7f cc80 ccff cd0100 ff e0 d0df"],
    ["keys in order", { b: 1, a: 2, aa: 3, B: 4 }, "84 a142 04 a161 02 a26161 03 a162 01"],
    // In UTF-16 the second begins with d8, and would come first.
    ["keys by UTF-8, not UTF-16", { "\u{10000}": 1, "\uffff": 2 }, "82 a3efbfbf 02 a4f0908080 01"],
    ["keys that look like numbers", { 10: 1, 9: 2 }, "82 a23130 01 a139 02"],
    ["keys of maps in lists", [{ b: { d: 1, c: 2 }, a: [] }], "91 82 a161 90 a162 82 a163 02 a164 01"],
    ["what is undefined", { a: undefined, b: [undefined, null] }, "81 a162 92 c0 c0"],
    ["bytes and text", [Uint8Array.of(97), "a", Buffer.from("a")], "93 c40161 a161 c40161"],
    ["nothing", {}, "80"],
    [
      "texts of 31 and 32",
      ["x".repeat(31), "x".repeat(32)],
      `92 bf${"78".repeat(31)} d920${"78".repeat(32)}`,
    ],
    ["a list of 16", Array.from({ length: 16 }, () => true), `dc0010 ${"c3".repeat(16)}`],
  ])("%s", (_name, value, text) => {
    expect(hex(encodeCanonical(value))).toBe(text.replaceAll(" ", ""));
  });

  test("maps have the smallest header", () => {
    const map = (size: number): Record<string, number> =>
      Object.fromEntries(Array.from({ length: size }, (_, index) => [String(index), 0]));
    expect(hex(encodeCanonical(map(15))).slice(0, 2)).toBe("8f");
    expect(hex(encodeCanonical(map(16))).slice(0, 6)).toBe("de0010");
    expect(hex(encodeCanonical(map(65_536))).slice(0, 10)).toBe("df00010000");
  });

  test("a statement", () => {
    const statement = {
      action: "invoke",
      operator: "ada" as Statement["operator"],
      subject: "0123456789ab",
      targets: "role=web",
      digest: new Uint8Array(32).fill(0xaa),
      issuedAt: 1_700_000_000_000,
      expiresAt: 1_700_000_900_000,
      nonce: new Uint8Array(16).fill(0xbb),
    } satisfies Statement;
    const text = `88
      a6616374696f6e a6696e766f6b65
      a6646967657374 c420 ${"aa".repeat(32)}
      a9657870697265734174 d30000018bcff323a0
      a86973737565644174 d30000018bcfe56800
      a56e6f6e6365 c410 ${"bb".repeat(16)}
      a86f70657261746f72 a3616461
      a77375626a656374 ac303132333435363738396162
      a774617267657473 a8726f6c653d776562`;
    expect(hex(encodeCanonical(statement))).toBe(hex(bytes(text)));
    expect(plain(decodeValue(bytes(text)))).toEqual(plain(statement));
  });
});

/** MessagePack once more, from its specification, without our codec's library. */
function reference(value: unknown): Buffer {
  const head = (code: number, size: 1 | 2 | 4, length: number): Buffer => {
    const buffer = Buffer.alloc(1 + size, code);
    buffer.writeUIntBE(length, 1, size);
    return buffer;
  };
  const long = (
    length: number,
    small: number,
    fixed: number,
    codes: readonly [number, number, number],
  ): Buffer => {
    if (length < small) return Buffer.of(fixed | length);
    if (length < 0x100 && codes[0] !== 0) return head(codes[0], 1, length);
    return length < 0x1_0000 ? head(codes[1], 2, length) : head(codes[2], 4, length);
  };
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") return referenceNumber(value, head);
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([long(text.length, 32, 0xa0, [0xd9, 0xda, 0xdb]), text]);
  }
  if (value instanceof Uint8Array)
    return Buffer.concat([long(value.length, 0, 0, [0xc4, 0xc5, 0xc6]), value]);
  if (Array.isArray(value)) {
    return Buffer.concat([long(value.length, 16, 0x90, [0, 0xdc, 0xdd]), ...value.map(reference)]);
  }
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  return Buffer.concat([
    long(entries.length, 16, 0x80, [0, 0xde, 0xdf]),
    ...entries.flatMap(([key, entry]) => [reference(key), reference(entry)]),
  ]);
}

function referenceNumber(
  value: number,
  head: (code: number, size: 1 | 2 | 4, length: number) => Buffer,
): Buffer {
  if (!Number.isSafeInteger(value)) {
    const buffer = Buffer.alloc(9, 0xcb);
    buffer.writeDoubleBE(value, 1);
    return buffer;
  }
  if (value >= -32 && value < 0x80) return Buffer.of(value & 0xff);
  if (value >= 0 && value <= 0xffff_ffff) {
    if (value < 0x100) return head(0xcc, 1, value);
    return value < 0x1_0000 ? head(0xcd, 2, value) : head(0xce, 4, value);
  }
  if (value < 0 && value >= -0x8000_0000) {
    if (value >= -0x80) return head(0xd0, 1, value & 0xff);
    return value >= -0x8000 ? head(0xd1, 2, value & 0xffff) : head(0xd2, 4, value >>> 0);
  }
  const buffer = Buffer.alloc(9, 0xd3);
  buffer.writeBigInt64BE(BigInt(value), 1);
  return buffer;
}

const key = fc
  .string({ unit: "binary", maxLength: 6 })
  .map((text) => text.toWellFormed())
  .filter((text) => text !== "__proto__");
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc
      .constantFrom(31, 32, 53)
      .chain((power) => fc.integer({ min: -2, max: 2 }).map((more) => 2 ** power + more)),
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "binary", maxLength: 300 }).map((text) => text.toWellFormed()),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(key, tie("value"), { maxKeys: 20 }),
  ),
}));

function plain(thing: unknown): unknown {
  if (thing instanceof Uint8Array) return { bytes: [...thing] };
  if (Array.isArray(thing)) return thing.map(plain);
  if (typeof thing !== "object" || thing === null) return thing;
  return Object.fromEntries(Object.entries(thing).map(([name, entry]) => [name, plain(entry)]));
}

/** The same with the keys of all maps in another order. */
function turned(thing: unknown): unknown {
  if (typeof thing !== "object" || thing === null || thing instanceof Uint8Array) return thing;
  if (Array.isArray(thing)) return thing.map(turned);
  return Object.fromEntries(
    Object.entries(thing)
      .toReversed()
      .map(([name, entry]) => [name, turned(entry)]),
  );
}

describe("properties", () => {
  test("as the specification says, whatever the order of keys", () => {
    fc.assert(
      fc.property(value, (each) => {
        const expected = hex(reference(each));
        expect(hex(encodeCanonical(each))).toBe(expected);
        expect(hex(encodeCanonical(turned(each)))).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test("what was written is what is read: no two values have the same bytes", () => {
    fc.assert(
      fc.property(value, (each) => {
        expect(plain(decodeValue(encodeCanonical(each)))).toEqual(plain(each));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("reading", () => {
  test.each([
    ["nothing", ""],
    ["two values", "0101"],
    ["a map that is cut off", "82a16101a162"],
    ["an extension", "d40100"],
    ["too deep", `${"91".repeat(maxNestingDepth + 1)}c0`],
    ["more values than there are bytes", "ddffffffff"],
  ])("%s is a protocol_error", (_name, text) => {
    expect(() => decodeValue(bytes(text))).toThrow(expect.objectContaining({ code: "protocol_error" }));
  });

  test("arbitrary bytes are a value or a protocol_error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (each) => {
        try {
          decodeValue(each);
        } catch (error) {
          expect(error).toMatchObject({ code: "protocol_error" });
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
