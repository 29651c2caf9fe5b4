/**
 * Receives the output of `collect` jobs as it is produced, without any operator, into the collected store. Each job is
 * followed on its own; a cut, a full disk or our own death only means to go on from what the store has.
 */
import { type Clock, type Gap, OutpostError, type StreamName } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Bus, HostLink } from "./bus.ts";
import { type CollectedJob, type CollectedStore, collectedStreams } from "./collected-store.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import { readJob, type ReadTarget, sliceTail } from "./host-read.ts";
import { isEnded } from "./job-status.ts";
import type { Job } from "./job.ts";
import { noObserver, type Observer } from "./observer.ts";
import type { ControllerSettings } from "./settings.ts";
import { Wake } from "./wake.ts";

export interface CollectorOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly dispatch: Pick<Dispatch, "acknowledge">;
  readonly store: CollectedStore;
  /** Default: nobody. */
  readonly observer?: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

const retryMs = 2_000;

export class Collector implements Disposable {
  readonly #options: CollectorOptions;
  readonly #stop = new AbortController();
  /** What sleeps until it may be that it can go on. */
  readonly #wakes = new Set<Wake>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Collects all jobs of a fan-out job until each is complete. */
  follow(fanOut: FanOut): void {
    const wakes = new Map<Job, Wake>();
    const { settings } = this.#options;
    const share = Math.floor(settings.collectBudgetBytes / (fanOut.jobs.length * collectedStreams.length));
    const window = Math.max(16 * 1024, Math.min(settings.collectWindowBytes, share));
    const forget = fanOut.onChanged((job) => wakes.get(job)?.ring());
    const running = fanOut.jobs
      .filter((job) => fanOut.needsCollecting(job))
      .map(async (job) => {
        const wake = new Wake();
        wakes.set(job, wake);
        this.#wakes.add(wake);
        const unwatch = this.#options.bus.watch(job.host, () => wake.ring());
        try {
          await this.#collect(fanOut, job, window, wake);
        } finally {
          unwatch();
          wakes.delete(job);
          this.#wakes.delete(wake);
        }
      });
    void Promise.allSettled(running).then(forget);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const wake of this.#wakes) wake.ring();
  }

  async #collect(fanOut: FanOut, job: Job, window: number, wake: Wake): Promise<void> {
    const { bus, store, log, clock } = this.#options;
    const stored = store.job(fanOut.id, job.hostName);
    await stored.load();
    while (!this.#stop.signal.aborted && fanOut.needsCollecting(job) && !fanOut.isRemoved) {
      const link = bus.link(job.host);
      if (link === undefined || job.isStarting || job.status.state === "pending") {
        await wake.next();
        continue;
      }
      try {
        if (!store.hasRoom)
          throw new OutpostError(
            "disk_full",
            "the collected output has reached its limit (maxCollectedBytes)",
          );
        await this.#read(fanOut, job, link, stored, window);
      } catch (error) {
        if (!link.isOpen || this.#stop.signal.aborted) continue;
        log.warn({ host: job.hostName, job: job.id, err: error }, "collecting goes on in a moment");
        clock.after(retryMs, () => wake.ring());
        await wake.next();
      }
    }
  }

  async #read(fanOut: FanOut, job: Job, link: HostLink, stored: CollectedJob, window: number): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, this.#stop.signal]);
    const { observer = noObserver } = this.#options;
    const fail = (error: unknown): void => failed.abort(error);
    const targets = new Map(
      collectedStreams.map((name) => [name, new StoreTarget(name, stored, window, fail, observer)]),
    );
    try {
      const { status, tail } = await readJob(link, job.id, targets, { follow: true, signal });
      const rest = sliceTail(tail ?? {}, targets);
      for (const [name, target] of targets) {
        const chunk = rest?.[name];
        if (chunk !== undefined) target.chunk(chunk.bytes);
      }
      await Promise.all([...targets.values()].map((target) => target.written()));
      failed.signal.throwIfAborted();
      if (isEnded(status)) await this.#complete(fanOut, job, link, stored, status);
    } finally {
      // Appends of a failed attempt MUST be over before the next one looks at the sizes.
      await Promise.all([...targets.values()].map((target) => target.written()));
    }
  }

  async #complete(
    fanOut: FanOut,
    job: Job,
    link: HostLink,
    stored: CollectedJob,
    status: Job["status"],
  ): Promise<void> {
    const { fanOuts, dispatch } = this.#options;
    await stored.sync();
    job.report(status, link);
    job.collected();
    fanOuts.note(fanOut, job, true);
    const received = {
      stdout: stored.size("stdout"),
      stderr: stored.size("stderr"),
      timeline: stored.size("timeline"),
    };
    await dispatch.acknowledge(fanOut, job, received);
  }
}

/** One stream into its file. What has been sent and is not written is never more than the window. */
class StoreTarget implements ReadTarget {
  position: number;
  readonly #name: StreamName;
  readonly #stored: CollectedJob;
  readonly #window: number;
  readonly #failed: (error: unknown) => void;
  readonly #observer: Observer;
  #source: { grant(upTo: number): void } | undefined;
  /** What has come and is not being written yet. */
  #batch: { readonly at: number; readonly pieces: Uint8Array[] } | undefined;
  #work: Promise<void> = Promise.resolve();
  #isBroken = false;

  constructor(
    name: StreamName,
    stored: CollectedJob,
    window: number,
    failed: (error: unknown) => void,
    observer: Observer,
  ) {
    this.#name = name;
    this.#stored = stored;
    this.#window = window;
    this.#failed = failed;
    this.#observer = observer;
    this.position = stored.size(name);
  }

  get allowance(): number {
    return this.#stored.size(this.#name) + this.#window;
  }

  opened(source: { grant(upTo: number): void }): void {
    this.#source = source;
  }

  chunk(bytes: Uint8Array): boolean {
    if (this.#isBroken) return false;
    if (this.#batch === undefined) {
      const batch = { at: this.position, pieces: [] as Uint8Array[] };
      this.#batch = batch;
      this.#then(() => this.#append(batch));
    }
    this.#batch.pieces.push(bytes);
    this.position += bytes.byteLength;
    this.#observer.relayed("collected", "from_hosts", bytes.byteLength);
    return true;
  }

  gap(gap: Gap): void {
    this.position = gap.to;
    this.#batch = undefined;
    this.#then(async () => {
      await this.#stored.skip(this.#name, gap);
      this.#source?.grant(this.allowance);
    });
  }

  /** Resolves when everything so far is in the file, or failed. */
  written(): Promise<void> {
    return this.#work;
  }

  async #append(batch: { readonly at: number; readonly pieces: readonly Uint8Array[] }): Promise<void> {
    // From here on, what comes is the next batch.
    if (this.#batch === batch) this.#batch = undefined;
    await this.#stored.append(this.#name, batch.at, batch.pieces);
    this.#source?.grant(this.allowance);
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#isBroken) return;
      try {
        await step();
      } catch (error) {
        this.#isBroken = true;
        this.#failed(error);
      }
    });
  }
}
