/**
 * Short outputs that came with the answers to starts, held for the receive that the operator sends right behind the
 * start. Bounded in bytes and time; what is not held any more is asked of the host.
 */
import type { Clock, JobId, Tail } from "@outpost/protocol";
import type { FanOut } from "./fan-out.ts";
import type { Job } from "./job.ts";
import type { ControllerSettings } from "./settings.ts";

/** What an empty tail costs all the same: objects, not bytes. */
const overheadBytes = 512;

export class HeldTails {
  readonly #clock: Clock;
  readonly #settings: ControllerSettings;
  readonly #expected = new Map<JobId, () => void>();
  #heldBytes = 0;

  constructor(clock: Clock, settings: ControllerSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** What is held, in bytes. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A receive of this fan-out job will come. */
  expect(fanOut: FanOut): void {
    this.#expected.set(
      fanOut.id,
      this.#clock.after(this.#settings.heldTailMs, () => this.release(fanOut)),
    );
  }

  hold(fanOut: FanOut, job: Job, tail: Tail): void {
    const size = tailBytes(tail);
    if (!this.#expected.has(fanOut.id) || this.#heldBytes + size > this.#settings.maxHeldTailBytes) return;
    this.drop(job);
    this.#heldBytes += size;
    job.tail = tail;
  }

  /** The receive has it. */
  drop(job: Job): void {
    if (job.tail === undefined) return;
    this.#heldBytes -= tailBytes(job.tail);
    job.tail = undefined;
  }

  /** The receive has everything, or did not come. */
  release(fanOut: FanOut): void {
    this.#expected.get(fanOut.id)?.();
    if (!this.#expected.delete(fanOut.id)) return;
    for (const job of fanOut.jobs) this.drop(job);
  }
}

function tailBytes({ stdout, stderr, timeline }: Tail): number {
  const size = (chunk: { bytes: Uint8Array } | undefined): number => chunk?.bytes.byteLength ?? 0;
  return overheadBytes + size(stdout) + size(stderr) + size(timeline);
}
