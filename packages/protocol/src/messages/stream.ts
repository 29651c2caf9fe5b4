/** Output and input of jobs as byte streams: names, positions, gaps. */
import * as v from "valibot";
import { maxInlineOutputBytes } from "../limits.ts";

/** A byte offset or count: a whole number from 0 that a double holds exactly. */
export type Offset = v.InferOutput<typeof Offset>;
export const Offset = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A moment: milliseconds since 1970-01-01T00:00:00Z. */
export type Time = v.InferOutput<typeof Time>;
export const Time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A stretch of time in milliseconds. */
export const DurationMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A byte string of at most `maxBytes`. */
export const Bytes = (maxBytes: number) =>
  v.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.byteLength <= maxBytes,
    `is not a byte string of at most ${String(maxBytes)} bytes`,
  );

/** The number of a stream on one connection, chosen by its sender, never used twice there. */
export type StreamNumber = v.InferOutput<typeof StreamNumber>;
export const StreamNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** The streams of a job that a reader can ask for. `timeline` is the record of when `stdout` and `stderr` grew. */
export const StreamName = v.picklist(["stdout", "stderr", "timeline"]);
export type StreamName = v.InferOutput<typeof StreamName>;

/** The streams that carry what the job wrote. */
export const OutputName = v.picklist(["stdout", "stderr"]);
export type OutputName = v.InferOutput<typeof OutputName>;

/** One offset per stream, where each is wanted. */
export type Positions = v.InferOutput<typeof Positions>;
export const Positions = v.object({
  stdout: v.optional(Offset),
  stderr: v.optional(Offset),
  timeline: v.optional(Offset),
});

/** How many bytes a stream holds, and below which offset they were received and acknowledged. */
export type StreamExtent = v.InferOutput<typeof StreamExtent>;
export const StreamExtent = v.object({ written: Offset, received: Offset });

/** Extents of both output streams. */
export type OutputExtents = v.InferOutput<typeof OutputExtents>;
export const OutputExtents = v.object({ stdout: StreamExtent, stderr: StreamExtent });

/** Why bytes are missing. */
export const GapReason = v.picklist([
  /** The job's directory made room for newer jobs (disk quota). */
  "evicted",
  /** The job's directory was removed by an operator, or was older than the limit. */
  "removed",
  /** Somebody or something on the host shortened the file. */
  "truncated",
  /** The bytes were acknowledged by an earlier receive, and the host has forgotten them. */
  "received",
]);
export type GapReason = v.InferOutput<typeof GapReason>;

/** Bytes `from` (inclusive) to `to` (exclusive) that can no longer be had. */
export type Gap = v.InferOutput<typeof Gap>;
export const Gap = v.object({ from: Offset, to: Offset, reason: GapReason });

/** A piece of output that travels inside another message instead of on a stream. */
export type InlineChunk = v.InferOutput<typeof InlineChunk>;
export const InlineChunk = v.object({ offset: Offset, bytes: Bytes(maxInlineOutputBytes) });

/** The end of each stream, when it is short enough to travel with the exit. At most `maxInlineOutputBytes` together. */
export type Tail = v.InferOutput<typeof Tail>;
export const Tail = v.object({
  stdout: v.optional(InlineChunk),
  stderr: v.optional(InlineChunk),
  timeline: v.optional(InlineChunk),
});

/** The sender opens a stream: chunks of `name` follow on number `stream`, the first at `offset`. */
export type StreamOpened = v.InferOutput<typeof StreamOpened>;
export const StreamOpened = v.object({ stream: StreamNumber, name: StreamName, offset: Offset });

/** The receiver of an input is ready for it from `offset`; `window` bytes beyond it may be sent at once. */
export type InputReady = v.InferOutput<typeof InputReady>;
export const InputReady = v.object({ offset: Offset, window: Offset });
