/**
 * Chunks packed with Zstandard (RFC 8878), for readers that asked for it. The host packs, the reader unpacks, and the
 * relays between pass the bytes on as they are: at level 1 packing costs less than one hop's encryption, and text
 * shrinks to a tenth. Bytes that do not shrink are sent as they are.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxChunkBytes } from "./limits.ts";
import type { OutgoingStream } from "./stream.ts";

/** The fastest of the regular levels: 1.5 GB/s for logs, 10 GB/s for what repeats itself; higher ones gain little here. */
const level = 1;
/** Shorter pieces are not worth the call, in bytes: a message of this size is one TLS record anyhow. */
const leastBytes = 1024;
/** A packed chunk must save at least this share, or it is not worth unpacking. */
const leastSaving = 0.1;
/** After bytes that did not shrink, how many chunks are left alone: twice as many each time, up to this. */
const mostSkipped = 64;

/** Node collects the result in buffers of this size, 16 KiB by default: one that holds it saves joining, and garbage. */
const packedBufferBytes = 32 * 1024;
const unpackedSlackBytes = 64;

const options = {
  params: { [constants.ZSTD_c_compressionLevel]: level },
  chunkSize: packedBufferBytes,
};

/** Sends the bytes of one stream, packed where that pays. */
export class Packer {
  readonly #accepted: boolean;
  #skip = 0;
  #nextSkip = 1;

  /** @param accepted whether the reader takes packed chunks; else everything is sent as it is */
  constructor(accepted: boolean) {
    this.#accepted = accepted;
  }

  /** Sends bytes, which MUST be within the stream's credit. */
  send(stream: OutgoingStream, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; at += maxChunkBytes) {
      const piece = bytes.subarray(at, at + maxChunkBytes);
      const packed = this.#pack(piece);
      if (packed === undefined) stream.send(piece);
      else stream.sendPacked(packed, piece.byteLength);
    }
  }

  #pack(bytes: Uint8Array): Uint8Array | undefined {
    if (!this.#accepted || bytes.byteLength < leastBytes) return undefined;
    if (this.#skip > 0) {
      this.#skip--;
      return undefined;
    }
    const packed = zstdCompressSync(bytes, options);
    if (packed.byteLength <= bytes.byteLength * (1 - leastSaving)) {
      this.#nextSkip = 1;
      return packed;
    }
    this.#skip = this.#nextSkip;
    this.#nextSkip = Math.min(mostSkipped, this.#nextSkip * 2);
    return undefined;
  }
}

/**
 * What a packed chunk holds.
 * @param size how many bytes the sender says it holds; at most `maxChunkBytes`, so nothing larger is ever allocated
 * @throws OutpostError `protocol_error` when it is not a Zstandard frame of exactly that content size
 */
export function unpack(packed: Uint8Array, size: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = zstdDecompressSync(packed, {
      chunkSize: size + unpackedSlackBytes,
      maxOutputLength: Math.max(1, size),
    });
  } catch (cause) {
    throw new OutpostError(ErrorCode.protocolError, "a packed chunk cannot be unpacked", { cause });
  }
  if (bytes.byteLength === size) return bytes;
  throw new OutpostError(
    ErrorCode.protocolError,
    `a packed chunk holds ${String(bytes.byteLength)} bytes, where it said ${String(size)}`,
  );
}
