/**
 * Puts times to bytes: holds output back until the timeline says when it was written, and hands it out in the order in
 * which it was. One per host. It buffers no more than the streams' windows let arrive.
 */
import { decodeTimeline, type OutputName, type TimelineRecord, timelineRecordBytes } from "@outpost/protocol";

export interface TimedPiece {
  readonly stream: OutputName;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970; absent where the timeline says nothing. */
  readonly time?: number;
}

interface Held {
  offset: number;
  bytes: Uint8Array;
}

export class Interleaving {
  readonly #held: Record<OutputName, Held[]> = { stdout: [], stderr: [] };
  readonly #arrived: Record<OutputName, number> = { stdout: 0, stderr: 0 };
  readonly #records: TimelineRecord[] = [];
  #rest = new Uint8Array(0);

  /** Takes bytes of a stream in. */
  output(stream: OutputName, offset: number, bytes: Uint8Array): TimedPiece[] {
    this.#held[stream].push({ offset, bytes });
    this.#arrived[stream] = offset + bytes.byteLength;
    return this.#drain();
  }

  /** A gap: bytes below `offset` will not come. */
  skip(stream: OutputName, offset: number): TimedPiece[] {
    this.#arrived[stream] = Math.max(this.#arrived[stream], offset);
    return this.#drain();
  }

  /** Takes bytes of the timeline in. */
  timeline(bytes: Uint8Array): TimedPiece[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const whole = all.byteLength - (all.byteLength % timelineRecordBytes);
    this.#rest = all.subarray(whole);
    this.#records.push(...decodeTimeline(all.subarray(0, whole)));
    return this.#drain();
  }

  /** No more timeline comes: what is left has no time. */
  flush(): TimedPiece[] {
    const pieces = this.#drain();
    for (const stream of ["stdout", "stderr"] as const) {
      for (const held of this.#held[stream]) pieces.push({ stream, ...held });
      this.#held[stream] = [];
    }
    return pieces;
  }

  /** Hands out what the first record covers; a record whose bytes are still on their way keeps the later ones waiting. */
  #drain(): TimedPiece[] {
    const pieces: TimedPiece[] = [];
    let done = 0;
    for (const record of this.#records) {
      this.#take(record, pieces);
      if (this.#arrived[record.stream] < record.upTo) break;
      done++;
    }
    this.#records.splice(0, done);
    return pieces;
  }

  #take({ stream, upTo, timeUs }: TimelineRecord, pieces: TimedPiece[]): void {
    const held = this.#held[stream];
    for (let first = held[0]; first !== undefined && first.offset < upTo; first = held[0]) {
      const length = Math.min(first.bytes.byteLength, upTo - first.offset);
      pieces.push({
        stream,
        offset: first.offset,
        bytes: first.bytes.subarray(0, length),
        time: timeUs / 1000,
      });
      if (length === first.bytes.byteLength) held.shift();
      else held[0] = { offset: first.offset + length, bytes: first.bytes.subarray(length) };
    }
  }
}
