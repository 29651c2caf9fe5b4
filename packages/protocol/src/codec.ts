/**
 * Frames to bytes and back: plain MessagePack, without msgpackr's records and extensions, so that any language's
 * library can read it. The only importer of msgpackr; `codec.test.ts` pins its output byte by byte.
 */
import type * as msgpackr from "msgpackr";
import * as portable from "msgpackr/pack";
import { ErrorCode, OutpostError } from "./errors.ts";
import { type ChunkFrame, FrameType, type Frame } from "./frame.ts";
import { asFrame } from "./guards.ts";
import { maxMessageBytes } from "./limits.ts";
import { scan } from "./scan.ts";

// The part of msgpackr in plain JavaScript: the whole package also loads Node's streams and looks for a native addon,
// 7 ms of every start. Its own types for it cannot be resolved.
const { Packr, Unpackr } = portable as unknown as typeof msgpackr;

const options = {
  useRecords: false,
  // The smallest map header instead of always 3 bytes.
  variableMapSize: true,
  mapsAsObjects: true,
  int64AsType: "number",
  moreTypes: false,
} as const;
const packr = new Packr(options);
const unpackr = new Unpackr(options);

/** msgpackr writes whole numbers above this as float 64; as bigint they become (u)int 64. */
const maxPlainInteger = 0xffff_ffff;
const minPlainInteger = -0x8000_0000;

function wireNumber(value: number): number | bigint {
  if (!Number.isSafeInteger(value)) return value;
  return value > maxPlainInteger || value < minPlainInteger ? BigInt(value) : value;
}

/** Drops keys that are `undefined` and turns large whole numbers into bigints. */
function wireValue(value: unknown): unknown {
  if (typeof value === "number") return wireNumber(value);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value ?? null;
  if (Array.isArray(value)) return value.map(wireValue);
  const result: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (entry !== undefined) result[key] = wireValue(entry);
  }
  return result;
}

function wireChunk([type, stream, offset, bytes, size]: ChunkFrame): unknown {
  const value: unknown[] = [type, stream, wireNumber(offset), bytes];
  if (size !== undefined) value.push(size);
  return value;
}

/**
 * Writes a frame. The result is the caller's to keep.
 * @throws OutpostError `limit_exceeded` when it would be larger than `maxMessageBytes`
 */
export function encode(frame: Frame): Uint8Array {
  // Chunks are most of the bytes: they are flat, so they skip the walk.
  const value = frame[0] === FrameType.chunk ? wireChunk(frame) : wireValue(frame);
  const bytes = packr.pack(value);
  if (bytes.byteLength > maxMessageBytes) {
    throw new OutpostError(
      ErrorCode.limitExceeded,
      `a message of ${String(bytes.byteLength)} bytes is larger than the limit of ${String(maxMessageBytes)} bytes`,
    );
  }
  return bytes;
}

/**
 * Writes a value in the one form that is signed: the keys of every map in the order of their UTF-8 bytes, whole numbers
 * and lengths in their shortest form, `undefined` left out.
 */
export function encodeCanonical(value: unknown): Uint8Array {
  return packr.pack(sortedValue(wireValue(value)));
}

function sortedValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(sortedValue);
  const entries = Object.entries(value).map(([key, entry]) => [Buffer.from(key), key, entry] as const);
  entries.sort(([left], [right]) => left.compare(right));
  return new Map(entries.map(([, key, entry]) => [key, sortedValue(entry)]));
}

/**
 * Reads a value that is no frame, e.g. a signed statement.
 * @throws OutpostError `protocol_error` for anything that is not well-formed and within the limits
 */
export function decodeValue(bytes: Uint8Array): unknown {
  scan(bytes);
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    throw new OutpostError(ErrorCode.protocolError, "a value is not valid MessagePack", { cause });
  }
}

/**
 * Reads a frame. Byte strings in it are views of `bytes`.
 * @throws OutpostError `protocol_error` for anything that is not one well-formed frame within the limits
 */
export function decode(bytes: Uint8Array): Frame {
  if (bytes.byteLength > maxMessageBytes) {
    throw new OutpostError(
      ErrorCode.protocolError,
      `a message of ${String(bytes.byteLength)} bytes is too large`,
    );
  }
  scan(bytes);
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (cause) {
    throw new OutpostError(ErrorCode.protocolError, "a message is not valid MessagePack", { cause });
  }
  return asFrame(value);
}
