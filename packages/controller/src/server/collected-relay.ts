/** One job's output from the controller's own store to one operator, following it while it is being collected. */
import {
  type FanOutDone,
  limits,
  type OutgoingStream,
  type OutputName,
  Packer,
  type StreamName,
} from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { CollectedJob, CollectedStore } from "./collected-store.ts";
import type { FanOut } from "./fan-out.ts";
import type { Job } from "./job.ts";
import type { OperatorSink } from "./relay.ts";
import { Wake } from "./wake.ts";

export interface CollectedRelayOptions {
  readonly fanOut: FanOut;
  readonly job: Job;
  readonly bus: Bus;
  readonly store: CollectedStore;
  /** Where to begin, for each stream that is wanted. */
  readonly from: ReadonlyMap<StreamName, number>;
  readonly follow: boolean;
  /** The operator takes packed chunks. */
  readonly packed: boolean;
  readonly sink: OperatorSink;
  readonly signal: AbortSignal;
}

export class CollectedRelay {
  readonly #options: CollectedRelayOptions;
  readonly #stored: CollectedJob;
  readonly #wake = new Wake();

  constructor(options: CollectedRelayOptions) {
    this.#options = options;
    this.#stored = options.store.job(options.fanOut.id, options.job.hostName);
  }

  wake(): void {
    this.#wake.ring();
  }

  async run(): Promise<FanOutDone> {
    const { fanOut, job, bus, from } = this.#options;
    await this.#stored.load();
    const unwatch = this.#stored.watch(() => this.#wake.ring());
    try {
      await Promise.all([...from].map(([name, position]) => this.#pump(name, position)));
      return { info: fanOut.jobInfo(job, bus) };
    } finally {
      unwatch();
    }
  }

  async #pump(name: StreamName, start: number): Promise<void> {
    const { follow, packed, sink, signal } = this.#options;
    let position = start;
    let out: OutgoingStream | undefined;
    const packer = new Packer(packed);
    for (;;) {
      signal.throwIfAborted();
      const gap = this.#stored.gapAt(name, position);
      if (gap !== undefined && gap.from <= position) {
        sink.gap(name, { ...gap, from: position });
        out?.skipTo(gap.to);
        position = gap.to;
        continue;
      }
      const end = Math.min(gap?.from ?? Number.POSITIVE_INFINITY, this.#stored.size(name));
      if (position < end) {
        out ??= sink.open(name, position);
        const room = Math.min(await out.ready(signal), end - position, limits.maxChunkBytes);
        const bytes = await this.#stored.read(name, position, room);
        packer.send(out, bytes);
        position += bytes.byteLength;
      } else if (this.#isComplete || !follow) {
        break;
      } else {
        await this.#wake.next();
      }
    }
    if (this.#isComplete) this.#writeOff(name, position);
    out?.end();
  }

  /** Nothing more will be collected. */
  get #isComplete(): boolean {
    const { fanOut, job } = this.#options;
    return job.isEnded && !fanOut.needsCollecting(job);
  }

  /** Received before and therefore dropped here, or lost on the host before it could be collected. */
  #writeOff(name: StreamName, position: number): void {
    if (name === "timeline") return;
    const { job, sink } = this.#options;
    const { written } = job.status.output[name satisfies OutputName];
    if (position >= written) return;
    const reason = job.received[name] >= written ? "received" : "removed";
    sink.gap(name, { from: position, to: written, reason });
  }
}
