/**
 * In which order stdout and stderr are sent: as the timeline recorded them, as far as each stream may be sent.
 * Pure bookkeeping; reading and sending are the output reader's.
 *
 * For each stream there is a `limit`: the size up to which the timeline has been followed. A stream that is out of
 * credit falls behind its limit and catches up later; the other goes on.
 */
import type { OutputName, TimelineRecord } from "@outpost/protocol";

export interface LaneState {
  /** The next byte to send. */
  readonly at: number;
  /** Whether bytes of it can be sent now. */
  readonly open: boolean;
}

export type Lanes = Readonly<Record<OutputName, LaneState | undefined>>;

const streams = ["stdout", "stderr"] as const;

export class Interleaving {
  readonly #limits = { stdout: 0, stderr: 0 };
  /** The record that was looked at and belongs to the future. */
  #next: TimelineRecord | undefined;

  /** Up to where `stream` may be sent now. */
  limit(stream: OutputName): number {
    return this.#limits[stream];
  }

  /**
   * Which stream to send from, up to its limit.
   * @param extents how much of each stream there is: nothing beyond is offered
   * @param take the next record of the timeline; `undefined` when there is none yet
   */
  async choose(
    lanes: Lanes,
    extents: Readonly<Record<OutputName, number>>,
    take: () => Promise<TimelineRecord | undefined>,
  ): Promise<OutputName | undefined> {
    for (;;) {
      const behind = streams.find(
        (stream) => lanes[stream]?.open === true && lanes[stream].at < this.#limits[stream],
      );
      if (behind !== undefined) {
        // Further records of the same stream make the piece longer.
        await this.#extend(behind, extents, take);
        return behind;
      }
      // As long as nothing could be sent anyway, the order is kept for later.
      const hungry = streams.some(
        (stream) => lanes[stream]?.open === true && lanes[stream].at < extents[stream],
      );
      if (!hungry) return undefined;
      this.#next ??= await take();
      if (this.#next === undefined) this.#uncovered(extents);
      else this.#follow(extents);
    }
  }

  async #extend(
    stream: OutputName,
    extents: Readonly<Record<OutputName, number>>,
    take: () => Promise<TimelineRecord | undefined>,
  ): Promise<void> {
    for (let i = 0; i < maxJoined; i++) {
      this.#next ??= await take();
      if (this.#next?.stream !== stream) return;
      this.#follow(extents);
    }
  }

  #follow(extents: Readonly<Record<OutputName, number>>): void {
    const { stream, upTo } = this.#next!;
    this.#limits[stream] = Math.max(this.#limits[stream], Math.min(upTo, extents[stream]));
    this.#next = undefined;
  }

  /** What the timeline does not cover (it was damaged, or the disk was full): one stream after the other. */
  #uncovered(extents: Readonly<Record<OutputName, number>>): void {
    this.#limits.stdout = extents.stdout;
    this.#limits.stderr = extents.stderr;
  }
}

/** How many records one piece may join: a bound on the time without sending. */
const maxJoined = 64;
