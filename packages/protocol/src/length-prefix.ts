/**
 * Messages in a stream of bytes, which has no boundaries of its own: each is preceded by its length, 4 bytes,
 * big-endian. The highest bit marks the last thing of a connection, the reason why it ends.
 *
 *      0               4
 *     ┌───────────────┬─────────────────┐
 *     │ length        │ message         │   length: 0 to maxMessageBytes
 *     ├───────────────┼─────────────────┤
 *     │ 2^31 + length │ reason (UTF-8)  │   length: 0 to maxReasonBytes; nothing comes after it
 *     └───────────────┴─────────────────┘
 *
 *     header ──▶ message ──▶ header …
 *        └─────▶ reason ───▶ ended          what comes then is dropped
 */
import { maxMessageBytes } from "./limits.ts";
import { maxReasonBytes, shortenReason } from "./socket.ts";

const headerBytes = 4;
const reasonFlag = 0x8000_0000;

/** What precedes a message of so many bytes. */
export function messageHeader(byteLength: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(byteLength);
  return header;
}

/** The last thing of a connection, header included. */
export function encodeReason(reason: string): Buffer {
  const text = Buffer.from(shortenReason(reason));
  return Buffer.concat([messageHeader(reasonFlag + text.byteLength), text]);
}

export interface LengthPrefixEvents {
  /** Valid during the call and afterwards; it may be a part of what was pushed. */
  message(bytes: Uint8Array): void;
  /** The other side ends the connection, and says why. Nothing comes after it. */
  ended(reason: string): void;
  /** A length is beyond its limit; nothing was allocated for it. Nothing comes after it. */
  malformed(reason: string): void;
}

export class LengthPrefixReader {
  readonly #events: LengthPrefixEvents;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  /** What has come of a message that came in pieces. Each byte is copied once, however many pieces there are. */
  #partial: { readonly bytes: Buffer; filled: number } | undefined;
  #ended = false;

  constructor(events: LengthPrefixEvents) {
    this.#events = events;
  }

  /** The next bytes of the stream. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (!this.#ended) {
      at += this.#fillHeader(bytes, at);
      if (this.#headerFilled < headerBytes) return;
      const size = this.#size();
      if (size === undefined) return;
      if (this.#partial === undefined && bytes.byteLength - at >= size) {
        at += size;
        this.#complete(bytes.subarray(at - size, at));
        continue;
      }
      this.#partial ??= { bytes: Buffer.allocUnsafe(size), filled: 0 };
      const piece = bytes.subarray(at, at + size - this.#partial.filled);
      this.#partial.bytes.set(piece, this.#partial.filled);
      this.#partial.filled += piece.byteLength;
      at += piece.byteLength;
      if (this.#partial.filled < size) return;
      this.#complete(this.#partial.bytes);
    }
  }

  #fillHeader(bytes: Uint8Array, at: number): number {
    const piece = bytes.subarray(at, at + headerBytes - this.#headerFilled);
    this.#header.set(piece, this.#headerFilled);
    this.#headerFilled += piece.byteLength;
    return piece.byteLength;
  }

  get #isReason(): boolean {
    return this.#header.readUInt32BE() >= reasonFlag;
  }

  #size(): number | undefined {
    const [size, limit] = this.#isReason
      ? [this.#header.readUInt32BE() - reasonFlag, maxReasonBytes]
      : [this.#header.readUInt32BE(), maxMessageBytes];
    if (size <= limit) return size;
    this.#ended = true;
    const what = this.#isReason ? "reason" : "message";
    this.#events.malformed(`a ${what} of ${String(size)} bytes; ${String(limit)} is the limit`);
    return undefined;
  }

  #complete(bytes: Uint8Array): void {
    const isReason = this.#isReason;
    this.#partial = undefined;
    this.#headerFilled = 0;
    if (isReason) {
      this.#ended = true;
      this.#events.ended(new TextDecoder().decode(bytes));
    } else {
      this.#events.message(bytes);
    }
  }
}
