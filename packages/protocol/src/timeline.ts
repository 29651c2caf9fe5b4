/**
 * The `timeline` stream of a job: when stdout and stderr grew, in records of 16 bytes. It restores the interleaving of
 * the two and says when each byte came.
 *
 *      0                8        9                16
 *     ┌────────────────┬────────┬─────────────────┐
 *     │ time           │ stream │ upTo            │     big-endian
 *     └────────────────┴────────┴─────────────────┘
 *
 *     time    microseconds since 1970, by the host's clock, which may step
 *     stream  1: stdout, 2: stderr
 *     upTo    the stream's length after the growth
 *
 * There is one record for each growth that was seen: writes that follow each other within the time of one observation
 * share a record. It covers the bytes from the `upTo` of the stream's last record.
 */
import type { OutputName } from "./messages/stream.ts";

export interface TimelineRecord {
  /** Microseconds since 1970. */
  readonly timeUs: number;
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
const upToBits = 56n;
const upToMask = (1n << upToBits) - 1n;

export function encodeTimeline(records: readonly TimelineRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.length * timelineRecordBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, { timeUs, stream, upTo }] of records.entries()) {
    const at = index * timelineRecordBytes;
    view.setBigUint64(at, BigInt(timeUs));
    view.setBigUint64(at + 8, (BigInt(streamNumbers[stream]) << upToBits) | BigInt(upTo));
  }
  return bytes;
}

/**
 * Reads whole records; what remains at the end is the beginning of one that is still on its way. Records of streams
 * that we do not know (a newer agent's) are left out.
 */
export function decodeTimeline(bytes: Uint8Array): TimelineRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: TimelineRecord[] = [];
  for (let at = 0; at + timelineRecordBytes <= bytes.byteLength; at += timelineRecordBytes) {
    const stream = streamNames.get(view.getUint8(at + 8));
    if (stream === undefined) continue;
    records.push({
      timeUs: Number(view.getBigUint64(at)),
      stream,
      upTo: Number(view.getBigUint64(at + 8) & upToMask),
    });
  }
  return records;
}
