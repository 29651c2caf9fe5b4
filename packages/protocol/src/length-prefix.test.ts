import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeReason, LengthPrefixReader, messageHeader } from "./length-prefix.ts";
import { maxMessageBytes } from "./limits.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** What comes of the pieces, in order. */
function read(...pieces: readonly Uint8Array[]): string[] {
  const got: string[] = [];
  const reader = new LengthPrefixReader({
    message: (bytes) => void got.push(Buffer.from(bytes).toString("hex")),
    ended: (reason) => void got.push(`ended: ${reason}`),
    malformed: (reason) => void got.push(`malformed: ${reason}`),
  });
  for (const piece of pieces) reader.push(piece);
  return got;
}

// Two messages, an empty one, and the end.
const example = hex("00000003 010203  00000001 ff  00000000  80000004 646f6e65");

test("literal bytes, at every split point, and byte by byte", () => {
  const whole = ["010203", "ff", "", "ended: done"];
  expect(read(example)).toEqual(whole);
  for (let at = 0; at <= example.length; at++) {
    expect(read(example.subarray(0, at), example.subarray(at))).toEqual(whole);
  }
  expect(read(...Array.from(example, (byte) => Uint8Array.of(byte)))).toEqual(whole);
});

test("what is written is what is read", () => {
  expect(Buffer.concat([messageHeader(1), hex("ff")])).toEqual(hex("00000001 ff"));
  expect(encodeReason("done")).toEqual(hex("80000004 646f6e65"));
  expect(read(encodeReason(""))).toEqual(["ended: "]);
  expect(read(encodeReason("ü".repeat(100)))).toEqual([`ended: ${"ü".repeat(60)}`]);
});

test("nothing comes after the end", () => {
  expect(read(example, hex("00000001 ff"), hex("ffffffff"))).toEqual(read(example));
});

test("a length beyond the limit, by its header alone", () => {
  const header = messageHeader(maxMessageBytes + 1);
  expect(read(header, hex("00000001 ff"))).toEqual([
    "malformed: a message of 4194305 bytes; 4194304 is the limit",
  ]);
  expect(read(messageHeader(maxMessageBytes))).toEqual([]);
  expect(read(hex("80000079"))).toEqual(["malformed: a reason of 121 bytes; 120 is the limit"]);
  expect(read(hex("7fffffff"))).toEqual(["malformed: a message of 2147483647 bytes; 4194304 is the limit"]);
});

test("any messages in any pieces come whole and in order", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (sent, sizes) => {
      const bytes = Buffer.concat(sent.flatMap((message) => [messageHeader(message.length), message]));
      const pieces: Uint8Array[] = [];
      for (let at = 0, index = 0; at < bytes.length; at += pieces.at(-1)!.length, index++) {
        pieces.push(bytes.subarray(at, at + sizes[index % sizes.length]!));
      }
      expect(read(...pieces)).toEqual(sent.map((message) => Buffer.from(message).toString("hex")));
    }),
    { numRuns: 500 },
  );
});

test("a large message in very many pieces takes time in proportion to its bytes", () => {
  const body = Buffer.alloc(maxMessageBytes, 7);
  const message = Buffer.concat([messageHeader(body.length), body]);
  const got: Uint8Array[] = [];
  const reader = new LengthPrefixReader({
    message: (bytes) => void got.push(bytes),
    ended: () => {},
    malformed: () => {},
  });
  // 262,144 pieces. Joining them anew at each would copy 500 GB.
  for (let at = 0; at < message.length; at += 16) reader.push(message.subarray(at, at + 16));
  expect(got).toHaveLength(1);
  expect(Buffer.compare(got[0]!, body)).toBe(0);
});
