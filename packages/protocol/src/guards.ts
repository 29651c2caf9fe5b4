/** From an unknown value to a frame. Only the frame's own shape is checked here; params and results have schemas. */
import * as v from "valibot";
import { ErrorCode, OutpostError, WireError } from "./errors.ts";
import { FrameType, type Frame } from "./frame.ts";
import { maxChunkBytes } from "./limits.ts";

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isErrorOrNull(value: unknown): value is WireError | null {
  return value === null || v.is(WireError, value);
}

/** How many elements each frame has, its type included. */
const lengths = new Map<unknown, number>([
  [FrameType.request, 4],
  [FrameType.response, 4],
  [FrameType.notification, 3],
  [FrameType.chunk, 4],
  [FrameType.credit, 3],
  [FrameType.end, 3],
  [FrameType.cancel, 2],
]);

/** Longer arrays are tolerated: a later minor version may append elements. */
function hasShape(frame: readonly unknown[]): boolean {
  const [type, second, third, fourth, fifth] = frame;
  const length = lengths.get(type);
  if (length === undefined || frame.length < length) return false;
  switch (type as Frame[0]) {
    case FrameType.request:
      return isCount(second) && typeof third === "string";
    case FrameType.response:
      return isCount(second) && isErrorOrNull(third);
    case FrameType.notification:
      return typeof second === "string";
    case FrameType.chunk:
      return (
        isCount(second) &&
        isCount(third) &&
        fourth instanceof Uint8Array &&
        fourth.byteLength <= maxChunkBytes &&
        (fifth === undefined || (isCount(fifth) && fifth <= maxChunkBytes))
      );
    case FrameType.credit:
      return isCount(second) && isCount(third);
    case FrameType.end:
      return isCount(second) && isErrorOrNull(third);
    case FrameType.cancel:
      return isCount(second);
  }
}

/** Accepts a decoded value as a frame, or throws `protocol_error` saying what it is instead. */
export function asFrame(value: unknown): Frame {
  if (!Array.isArray(value))
    throw new OutpostError(ErrorCode.protocolError, "a message is not a MessagePack array");
  if (!lengths.has(value[0]))
    throw new OutpostError(ErrorCode.protocolError, `unknown frame type ${String(value[0])}`);
  if (!hasShape(value))
    throw new OutpostError(ErrorCode.protocolError, `malformed frame of type ${String(value[0])}`);
  return value as unknown as Frame;
}
