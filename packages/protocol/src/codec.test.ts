import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./codec.ts";
import { OutpostError } from "./errors.ts";
import type { Frame } from "./frame.ts";
import { maxMessageBytes } from "./limits.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

/** Each frame with its bytes, written out by hand from the MessagePack specification. */
const golden: readonly (readonly [name: string, frame: Frame, hex: string])[] = [
  ["request", [0, 1, "ping", {}], "94 00 01 a470696e67 80"],
  ["response", [1, 1, null, {}], "94 01 01 c0 80"],
  [
    "response with an error",
    [1, 7, { code: "not_found", message: "no" }, null],
    "94 01 07 82 a4636f6465 a96e6f745f666f756e64 a76d657373616765 a26e6f c0",
  ],
  [
    "notification",
    [2, "goodbye", { reason: "bye", retryAfterMs: 300 }],
    "93 02 a7676f6f64627965 82 a6726561736f6e a3627965 ac72657472794166746572 4d73 cd012c",
  ],
  ["chunk", [3, 2, 65_536, Uint8Array.of(0, 255, 10)], "94 03 02 ce00010000 c403 00ff0a"],
  ["empty chunk", [3, 2, 0, new Uint8Array()], "94 03 02 00 c400"],
  ["credit", [4, 2, 5_000_000_000], "93 04 02 d3000000012a05f200"],
  ["end", [5, 2, null], "93 05 02 c0"],
  [
    "end with an error",
    [5, 2, { code: "timeout", message: "x" }],
    "93 05 02 82 a4636f6465 a774696d656f7574 a76d657373616765 a178",
  ],
  ["cancel", [6, 128], "92 06 cc80"],
];

describe("golden bytes", () => {
  test.each(golden)("%s", (_name, frame, text) => {
    expect(hex(encode(frame))).toBe(text.replaceAll(" ", ""));
    const read = decode(bytes(text));
    expect(read.map((value) => (value instanceof Uint8Array ? hex(value) : value))).toEqual(
      frame.map((value) => (value instanceof Uint8Array ? hex(value) : value)),
    );
  });

  // Beyond 32 bits msgpackr writes int 64 for both signs; readers take uint 64 as well (below).
  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "cc80"],
    [255, "ccff"],
    [256, "cd0100"],
    [65_535, "cdffff"],
    [65_536, "ce00010000"],
    [0xffff_ffff, "ceffffffff"],
    [2 ** 32, "d30000000100000000"],
    [2 ** 53 - 1, "d3001fffffffffffff"],
    [-1, "ff"],
    [-32, "e0"],
    [-33, "d0df"],
    [-128, "d080"],
    [-129, "d1ff7f"],
    [-32_768, "d18000"],
    [-32_769, "d2ffff7fff"],
    [-(2 ** 31), "d280000000"],
    [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
    [-(2 ** 53) + 1, "d3ffe0000000000001"],
    [0.5, "cb3fe0000000000000"],
    [1e300, "cb7e37e43c8800759c"],
    [true, "c3"],
    [false, "c2"],
    [null, "c0"],
    ["é", "a2c3a9"],
    ["x".repeat(31), `bf${"78".repeat(31)}`],
    ["x".repeat(32), `d920${"78".repeat(32)}`],
    ["x".repeat(256), `da0100${"78".repeat(256)}`],
    [Uint8Array.of(1), "c40101"],
    [new Uint8Array(256), `c50100${"00".repeat(256)}`],
    [[1, 2], "920102"],
    [Array.from({ length: 16 }, () => 0), `dc0010${"00".repeat(16)}`],
    [{ a: 1 }, "81a16101"],
  ])("value %#: %o", (value, text) => {
    expect(hex(encode([2, "n", value]))).toBe(`9302a16e${text}`);
    const read = decode(bytes(`9302a16e${text}`))[2];
    expect(read instanceof Uint8Array ? new Uint8Array(read) : read).toEqual(value);
  });

  test("a map of 16 entries has the 16-bit header", () => {
    const map = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`k${String(index)}`, 0]));
    expect(hex(encode([2, "n", map])).slice(8, 14)).toBe("de0010");
  });

  test("keys that are undefined are left out, elements become nil", () => {
    expect(hex(encode([2, "n", { a: undefined, b: [undefined] }]))).toBe("9302a16e81a16291c0");
  });
});

describe("reading", () => {
  test("longer arrays and unknown fields are tolerated: a newer peer may add to a frame", () => {
    expect(decode(bytes("93 06 01 a3616263"))).toEqual([6, 1, "abc"]);
  });

  test("integers may come in wider forms than they need", () => {
    expect(decode(bytes("92 06 cf0000000000000001"))).toEqual([6, 1]);
    expect(decode(bytes("92 06 d30000000000000001"))).toEqual([6, 1]);
    expect(decode(bytes("94 d000 01 a470696e67 80"))).toEqual([0, 1, "ping", {}]);
  });

  test("byte strings are views of the message, not copies", () => {
    const message = bytes("94 03 02 00 c403 00ff0a");
    const chunk = decode(message);
    expect((chunk[3] as Uint8Array).buffer).toBe(message.buffer);
  });

  test.each(golden)("every cut of a %s is refused, and every byte too many", (_name, frame) => {
    const message = encode(frame);
    for (let length = 0; length < message.length; length++) {
      expect(() => decode(message.subarray(0, length))).toThrow(
        expect.objectContaining({ code: "protocol_error" }),
      );
    }
    expect(() => decode(Buffer.concat([message, Uint8Array.of(0)]))).toThrow("bytes after its value");
  });

  test("a __proto__ key does not reach a prototype", () => {
    const message = bytes("93 02 a16e 81 a95f5f70726f746f5f5f 81 a161 01");
    const params = decode(message)[2] as Record<string, unknown>;
    expect(Object.getPrototypeOf(params)).toBe(Object.prototype);
    expect((params as { a?: unknown }).a).toBeUndefined();
  });

  test("a message above the limit is refused before it is looked at", () => {
    expect(() => decode(new Uint8Array(maxMessageBytes + 1))).toThrow("too large");
  });

  test("writing a message above the limit says its size and the limit", () => {
    const params = { bytes: new Uint8Array(maxMessageBytes) };
    expect(() => encode([2, "n", params])).toThrow(expect.objectContaining({ code: "limit_exceeded" }));
  });
});

const whole = fc.maxSafeNat();
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 5 },
    ),
  ),
})).value;
const wireError = fc.option(
  fc.record({ code: fc.string(), message: fc.string(), data: fc.constant({ host: "web1" }) }),
);
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.tuple(fc.constant(0 as const), whole, fc.string(), value),
  fc.tuple(fc.constant(1 as const), whole, wireError, value),
  fc.tuple(fc.constant(2 as const), fc.string(), value),
  fc.tuple(fc.constant(3 as const), whole, whole, fc.uint8Array()),
  fc.tuple(fc.constant(4 as const), whole, whole),
  fc.tuple(fc.constant(5 as const), whole, wireError),
  fc.tuple(fc.constant(6 as const), whole),
);

/** Buffers become plain arrays, so that frames compare by content. */
function plain(thing: unknown): unknown {
  if (thing instanceof Uint8Array) return { bytes: [...thing] };
  if (Array.isArray(thing)) return thing.map(plain);
  if (typeof thing !== "object" || thing === null) return thing;
  return Object.fromEntries(Object.entries(thing).map(([key, entry]) => [key, plain(entry)]));
}

function decodes(message: Uint8Array): Frame | OutpostError {
  try {
    return decode(message);
  } catch (error) {
    if (error instanceof OutpostError) return error;
    throw error;
  }
}

describe("properties", () => {
  test("what was written is what is read", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(plain(decode(encode(frame)))).toEqual(plain(frame));
      }),
      { numRuns: 500 },
    );
  });

  test("arbitrary bytes are a frame or a protocol_error, never anything else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
        const result = decodes(message);
        if (result instanceof OutpostError) expect(result.code).toBe("protocol_error");
      }),
      { numRuns: 5000 },
    );
  });

  test("a real message with bytes changed is a frame or a protocol_error", () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(anyFrame, fc.array(change, { minLength: 1, maxLength: 4 }), (frame, changes) => {
        const message = Uint8Array.from(encode(frame));
        for (const [at, byte] of changes) message[at % message.length] = byte;
        const result = decodes(message);
        if (result instanceof OutpostError) expect(result.code).toBe("protocol_error");
      }),
      { numRuns: 2000 },
    );
  });
});
