/**
 * The `timeline` stream of a job: when stdout and stderr grew, in records of 16 bytes. It restores the interleaving of
 * the two and gives each byte its time. The writer looks now and then; a record covers all that one stream has grown
 * since its last record.
 *
 *      0         6        7        8                16
 *     ┌─────────┬────────┬────────┬─────────────────┐
 *     │ time    │ stream │ 0      │ upTo            │     big-endian
 *     └─────────┴────────┴────────┴─────────────────┘
 *
 *     time    milliseconds since 1970, 48 bits
 *     stream  1: stdout, 2: stderr
 *     upTo    the stream's length at that time: its bytes below this offset, and not below that of its last record
 */
import { ErrorCode, OutpostError } from "./errors.ts";
import type { OutputName } from "./messages/stream.ts";

export interface TimelineRecord {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly stream: OutputName;
  /** Offset after the last byte that this record covers. */
  readonly upTo: number;
}

/** The size of a record, in bytes. Positions on the timeline are always multiples of it. */
export const timelineRecordBytes = 16;

const streamNumbers: Readonly<Record<OutputName, number>> = { stdout: 1, stderr: 2 };
const streamNames = new Map<number, OutputName>([
  [1, "stdout"],
  [2, "stderr"],
]);

export function encodeTimeline(records: readonly TimelineRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.length * timelineRecordBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, record] of records.entries()) {
    const at = index * timelineRecordBytes;
    view.setBigUint64(at, (BigInt(record.time) << 16n) | (BigInt(streamNumbers[record.stream]) << 8n));
    view.setBigUint64(at + 8, BigInt(record.upTo));
  }
  return bytes;
}

/**
 * Reads whole records; what remains at the end is the beginning of one that is still on its way.
 * @throws OutpostError `protocol_error` when a record names no stream
 */
export function decodeTimeline(bytes: Uint8Array): TimelineRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: TimelineRecord[] = [];
  for (let at = 0; at + timelineRecordBytes <= bytes.byteLength; at += timelineRecordBytes) {
    const stream = streamNames.get(view.getUint8(at + 6));
    if (stream === undefined) {
      throw new OutpostError(ErrorCode.protocolError, "a timeline record names no stream");
    }
    records.push({
      time: Number(view.getBigUint64(at) >> 16n),
      stream,
      upTo: Number(view.getBigUint64(at + 8)),
    });
  }
  return records;
}
