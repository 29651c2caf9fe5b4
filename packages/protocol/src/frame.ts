/**
 * The frames: what one message on a connection is. Each is one MessagePack array.
 *
 *     request       [0, id, method, params]
 *     response      [1, id, error | nil, result]
 *     notification  [2, method, params]
 *     chunk         [3, stream, offset, bytes]      data of a stream, at its byte offset
 *                   [3, stream, offset, bytes, size]   the same, packed: `bytes` unpack to `size` bytes (packing.ts)
 *     credit        [4, stream, upTo]               the receiver may be sent bytes below upTo
 *     end           [5, stream, error | nil]        nil for a normal end
 *     cancel        [6, id]                         stop working on request id
 *
 * 0, 1 and 2 are MessagePack-RPC's (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md). Streams are
 * numbered by their sender: `chunk` and `end` name a stream of the side that sends them, `credit` names a stream of
 * the side that receives it.
 */
import type { WireError } from "./errors.ts";

export const FrameType = {
  request: 0,
  response: 1,
  notification: 2,
  chunk: 3,
  credit: 4,
  end: 5,
  cancel: 6,
} as const;

export type RequestFrame = readonly [typeof FrameType.request, id: number, method: string, params: unknown];
export type ResponseFrame = readonly [
  typeof FrameType.response,
  id: number,
  error: WireError | null,
  result: unknown,
];
export type NotificationFrame = readonly [typeof FrameType.notification, method: string, params: unknown];
export type ChunkFrame = readonly [
  typeof FrameType.chunk,
  stream: number,
  offset: number,
  bytes: Uint8Array,
  size?: number,
];
export type CreditFrame = readonly [typeof FrameType.credit, stream: number, upTo: number];
export type EndFrame = readonly [typeof FrameType.end, stream: number, error: WireError | null];
export type CancelFrame = readonly [typeof FrameType.cancel, id: number];

export type Frame =
  | RequestFrame
  | ResponseFrame
  | NotificationFrame
  | ChunkFrame
  | CreditFrame
  | EndFrame
  | CancelFrame;
