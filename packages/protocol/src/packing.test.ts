import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maxChunkBytes } from "./limits.ts";
import { Packer, unpack } from "./packing.ts";
import { OutgoingStream } from "./stream.ts";

interface Sent {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly size?: number;
}

/** A stream with all the credit it may want, and what was sent on it. */
function recorder(): { stream: OutgoingStream; sent: Sent[] } {
  const sent: Sent[] = [];
  const stream = new OutgoingStream(1, {
    sendChunk: (_stream, offset, bytes, size) =>
      sent.push({ offset, bytes: bytes.slice(), ...(size === undefined ? {} : { size }) }),
    sendCredit: () => {},
    sendEnd: () => {},
    writable: () => Promise.resolve(),
  });
  stream.begin(0, Number.MAX_SAFE_INTEGER - 1);
  return { stream, sent };
}

function received(sent: readonly Sent[]): Buffer {
  let expected = 0;
  const pieces = sent.map(({ offset, bytes, size }) => {
    expect(offset).toBe(expected);
    const piece = size === undefined ? bytes : unpack(bytes, size);
    expected += piece.byteLength;
    return piece;
  });
  return Buffer.concat(pieces);
}

describe("Packer", () => {
  test("whatever is sent arrives, byte for byte, at its offsets", () => {
    const text = fc.array(fc.constantFrom("error: ", "ok\n", "\0", "x".repeat(500)), { maxLength: 40 });
    const piece = fc.oneof(
      text.map((words) => Buffer.from(words.join(""))),
      fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, accepted) => {
        const { stream, sent } = recorder();
        const packer = new Packer(accepted);
        for (const bytes of pieces) packer.send(stream, bytes);
        expect(received(sent).equals(Buffer.concat(pieces))).toBe(true);
        if (!accepted) expect(sent.every(({ size }) => size === undefined)).toBe(true);
      }),
    );
  });

  test("text shrinks, in chunks that unpack to no more than a chunk may hold", () => {
    const { stream, sent } = recorder();
    const text = Buffer.from("Nov 21 11:04:20 web1 sshd[812]: Accepted publickey\n".repeat(20_000));
    new Packer(true).send(stream, text);
    expect(received(sent).equals(text)).toBe(true);
    expect(sent.every(({ size }) => size !== undefined && size <= maxChunkBytes)).toBe(true);
    expect(sent.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)).toBeLessThan(text.byteLength / 10);
  });

  test("bytes that do not shrink are sent as they are, and tried ever more seldom", () => {
    const { stream, sent } = recorder();
    const packer = new Packer(true);
    const noise = randomBytes(2000);
    for (let count = 0; count < 50; count++) packer.send(stream, noise);
    expect(sent.every(({ size }) => size === undefined)).toBe(true);
    // And it comes back when they do again.
    for (let count = 0; count < 70; count++) packer.send(stream, Buffer.alloc(2000));
    expect(sent.at(-1)?.size).toBe(2000);
  });
});

describe("unpack", () => {
  const { stream, sent } = recorder();
  new Packer(true).send(stream, Buffer.alloc(100_000));
  const [packed] = sent;

  test.each([0, 1, 99_999, 100_001])("a size of %i that is not the content's is refused", (size) => {
    expect(() => unpack(packed!.bytes, size)).toThrow(expect.objectContaining({ code: "protocol_error" }));
  });

  test("what is no Zstandard frame is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => unpack(bytes, 10)).toThrow(expect.objectContaining({ code: "protocol_error" }));
      }),
    );
  });
});
