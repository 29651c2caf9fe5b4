/**
 * Puts times to bytes: holds output back until the timeline says when it was written, and hands it out in the order in
 * which it was. One per host. It holds no more than the streams' windows let arrive.
 */
import {
  decodeTimeline,
  type Gap,
  type OutputName,
  type Positions,
  type TimelineRecord,
  timelineRecordBytes,
} from "@outpost/protocol";

/** Something to hand out: bytes with their time, or a gap in its place among them. */
export type TimedPiece =
  | {
      readonly stream: OutputName;
      readonly offset: number;
      readonly bytes: Uint8Array;
      /** Milliseconds since 1970; absent where the timeline says nothing. */
      readonly time?: number;
    }
  | { readonly stream: OutputName; readonly gap: Gap };

type Held = { readonly offset: number; readonly bytes: Uint8Array } | { readonly gap: Gap };

/** One stream: what of it is held, and the offset up to which it was handed out. */
class Lane {
  readonly held: Held[] = [];
  position: number;

  constructor(position: number) {
    this.position = position;
  }
}

export class Interleaving {
  readonly #lanes = new Map<OutputName, Lane>();
  #records: TimelineRecord[] = [];
  #rest = new Uint8Array(0);

  /** @param positions where each wanted stream begins. What the timeline says of other streams, and of bytes before
   * these offsets, is passed over: those bytes do not come, and nothing may wait for them. */
  constructor(positions: Pick<Positions, OutputName>) {
    for (const stream of ["stdout", "stderr"] as const) {
      const position = positions[stream];
      if (position !== undefined) this.#lanes.set(stream, new Lane(position));
    }
  }

  /** How many bytes of the timeline have been taken in and wait for the output that they are about. */
  get waitingTimelineBytes(): number {
    return this.#records.length * timelineRecordBytes + this.#rest.byteLength;
  }

  /** Takes bytes of a stream in. */
  output(stream: OutputName, offset: number, bytes: Uint8Array): TimedPiece[] {
    this.#lanes.get(stream)?.held.push({ offset, bytes });
    return this.#drain();
  }

  /** Takes a gap in: it is handed out behind the bytes before it. */
  skip(stream: OutputName, gap: Gap): TimedPiece[] {
    this.#lanes.get(stream)?.held.push({ gap });
    return this.#drain();
  }

  /** Takes bytes of the timeline in. */
  timeline(bytes: Uint8Array): TimedPiece[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const whole = all.byteLength - (all.byteLength % timelineRecordBytes);
    this.#rest = all.subarray(whole);
    this.#records = this.#records.concat(decodeTimeline(all.subarray(0, whole)));
    return this.#drain();
  }

  /** Bytes of the timeline are gone: the record that had begun is, too. */
  timelineGap(): void {
    this.#rest = new Uint8Array(0);
  }

  /** No more timeline comes: what is left has no time. */
  flush(): TimedPiece[] {
    const pieces = this.#drain();
    for (const [stream, lane] of this.#lanes) {
      for (const held of lane.held.splice(0)) pieces.push({ stream, ...held });
    }
    return pieces;
  }

  /** Hands out what the first record covers; a record whose bytes are still on their way keeps the later ones waiting. */
  #drain(): TimedPiece[] {
    const pieces: TimedPiece[] = [];
    let done = 0;
    for (const record of this.#records) {
      const lane = this.#lanes.get(record.stream);
      if (lane !== undefined && !take(lane, record, pieces)) break;
      done++;
    }
    if (done > 0) this.#records = this.#records.slice(done);
    return pieces;
  }
}

/** Hands out the lane's bytes up to the record's end. Returns whether that was all of them. */
function take(lane: Lane, { stream, upTo, timeUs }: TimelineRecord, pieces: TimedPiece[]): boolean {
  while (lane.position < upTo) {
    const first = lane.held[0];
    if (first === undefined) return false;
    if ("gap" in first) {
      pieces.push({ stream, gap: first.gap });
      lane.position = first.gap.to;
      lane.held.shift();
      continue;
    }
    const { offset, bytes } = first;
    const length = Math.min(bytes.byteLength, upTo - offset);
    pieces.push({ stream, offset, bytes: bytes.subarray(0, length), time: timeUs / 1000 });
    lane.position = offset + length;
    if (length === bytes.byteLength) lane.held.shift();
    else lane.held[0] = { offset: lane.position, bytes: bytes.subarray(length) };
  }
  return true;
}
