/**
 * `fanout.receive`: all hosts' output to one operator, each host at its own pace. It ends after the last host's `done`.
 */
import {
  type Call,
  type Clock,
  type controllerOperatorMethods,
  ErrorCode,
  type FanOutDone,
  type FanOutReceiveParams,
  OutpostError,
  type OutgoingStream,
  type RolloutInfo,
  type StreamName,
} from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import { CollectedRelay } from "./collected-relay.ts";
import type { CollectedStore } from "./collected-store.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { HeldTails } from "./held-tails.ts";
import type { Job } from "./job.ts";
import type { Observer } from "./observer.ts";
import { type OperatorSink, Relay } from "./relay.ts";
import type { ControllerSettings } from "./settings.ts";

export interface ReceiveServices {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly dispatch: Dispatch;
  readonly tails: HeldTails;
  readonly store: CollectedStore;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
}

type ReceiveCall = Call<typeof controllerOperatorMethods, "fanout.receive">;

/** One host's part, as the receive drives it. */
interface HostPart {
  readonly job: Job;
  readonly relay: { run(): Promise<FanOutDone>; wake(): void };
  /** What was last announced of the job; announced again only when it differs. */
  announced: string;
}

export class Receive {
  readonly #services: ReceiveServices;
  readonly #fanOut: FanOut;
  readonly #params: FanOutReceiveParams;
  readonly #call: ReceiveCall;
  readonly #openStream: () => OutgoingStream;
  readonly #ended = new AbortController();
  readonly #parts = new Map<Job, HostPart>();
  /** How far each stream to the operator is counted in `#counted`. */
  readonly #counts = new Map<OutgoingStream, number>();
  #counted = 0;

  constructor(
    services: ReceiveServices,
    fanOut: FanOut,
    jobs: readonly Job[],
    params: FanOutReceiveParams,
    call: ReceiveCall,
    openStream: () => OutgoingStream,
  ) {
    this.#services = services;
    this.#fanOut = fanOut;
    this.#params = params;
    this.#call = call;
    this.#openStream = openStream;
    const share = services.settings.relayBudgetBytes / Math.max(1, jobs.length * params.streams.length);
    for (const job of jobs) {
      this.#parts.set(job, { job, relay: this.#relay(job, Math.floor(share)), announced: "" });
    }
  }

  /** @throws OutpostError the first that any host's part meets and cannot wait out; `cancelled` */
  async run(): Promise<void> {
    const { signal } = this.#call;
    const stop = (): void => this.#end(signal.reason);
    const forget = this.#fanOut.onChanged((job) => this.#changed(job));
    const rollout = this.#followRollout();
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      await Promise.all([...this.#parts.values()].map((part) => this.#runPart(part)));
      this.#services.tails.release(this.#fanOut);
      await rollout.over;
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      forget();
      rollout.forget();
      signal.removeEventListener("abort", stop);
    }
  }

  /** Tells of the roll-out, if that is wanted. `over`: when it is; a last check may outlast all hosts' output. */
  #followRollout(): { readonly over: Promise<void>; forget(): void } {
    const { rollout: isWanted = false, follow } = this.#params;
    const now = this.#fanOut.rollout;
    if (!isWanted || now === undefined) return { over: Promise.resolve(), forget: () => {} };
    const isAll = this.#parts.size === this.#fanOut.jobs.length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const tell = (rollout: RolloutInfo): void => {
      this.#call.emit("receive.rollout", { rollout });
      if (!isAll || !follow || rollout.state === "done" || rollout.state === "stopped") resolve();
    };
    // Nobody may be waiting for it when the receive ends.
    promise.catch(() => {});
    const onAbort = (): void => reject(this.#ended.signal.reason as Error);
    this.#ended.signal.addEventListener("abort", onAbort, { once: true });
    const forget = this.#fanOut.onRollout(tell);
    tell(now);
    return { over: promise, forget };
  }

  /** How many bytes of stdout and stderr have gone to the operator. */
  get bytes(): number {
    for (const stream of this.#counts.keys()) this.#count(stream, stream.offset);
    return this.#counted;
  }

  /** @param next where the stream goes on: behind a gap, that is further than it has come */
  #count(stream: OutgoingStream, next: number): void {
    const from = this.#counts.get(stream);
    if (from === undefined) return;
    this.#counted += Math.max(0, stream.offset - from);
    this.#counts.set(stream, Math.max(from, next));
  }

  async #runPart(part: HostPart): Promise<void> {
    const { bus, tails, observer } = this.#services;
    const unwatch = bus.watch(part.job.host, () => this.#changed(part.job));
    observer.reading(1);
    try {
      this.#announce(part);
      const done = await part.relay.run();
      this.#parts.delete(part.job);
      this.#call.emit("receive.done", done);
      const { stdout, stderr } = done.tail ?? {};
      const tailBytes = (stdout?.bytes.byteLength ?? 0) + (stderr?.bytes.byteLength ?? 0);
      this.#counted += tailBytes;
      if (tailBytes > 0) observer.relayed("output", "from_hosts", tailBytes);
      tails.drop(part.job);
    } finally {
      observer.reading(-1);
      unwatch();
    }
  }

  #changed(job: Job): void {
    const part = this.#parts.get(job);
    if (part === undefined) return;
    this.#announce(part);
    part.relay.wake();
  }

  /** Tells the operator how a job that goes on stands: that it runs, that its host was lost or is back. */
  #announce(part: HostPart): void {
    const { job } = part;
    if (job.isStarting) return;
    const info = this.#fanOut.jobInfo(job, this.#services.bus);
    // The end itself is told by `receive.done`, after all output.
    if (job.isEnded && info.unreachableSince === undefined) return;
    const { state, exit } = info.status;
    const queued = info.queued === "host" ? "host" : "";
    const looks = [state, exit !== undefined, info.unreachableSince, info.waiting, queued].join();
    const isUntold = part.announced === "" && state === "pending" && info.unreachableSince === undefined;
    if (looks === part.announced || isUntold) return;
    part.announced = looks;
    this.#call.emit("receive.changed", { info });
  }

  /** Ends every part. Sleeping ones look at the signal when they wake. */
  #end(reason: unknown): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(OutpostError.from(reason, ErrorCode.cancelled));
    for (const { relay } of this.#parts.values()) relay.wake();
  }

  #relay(job: Job, cap: number): HostPart["relay"] {
    const { follow, window, packed = false, authorization } = this.#params;
    const options = {
      ...this.#services,
      fanOut: this.#fanOut,
      job,
      from: this.#from(job),
      follow,
      window,
      cap,
      packed,
      authorization,
      sink: this.#sink(job),
      signal: this.#ended.signal,
    };
    return this.#fanOut.mode === "collect" ? new CollectedRelay(options) : new Relay(options);
  }

  #from(job: Job): Map<StreamName, number> {
    const { from, fromStart, streams } = this.#params;
    const given = from?.[job.hostName] ?? {};
    return new Map(
      streams.map((name) => [name, given[name] ?? (fromStart === true ? 0 : job.received[name])]),
    );
  }

  #sink({ hostName }: Job): OperatorSink {
    const { window } = this.#params;
    const streams = new Map<StreamName, OutgoingStream>();
    return {
      open: (name, offset) => {
        const stream = this.#openStream();
        this.#call.emit("receive.opened", { host: hostName, stream: stream.number, name, offset });
        stream.begin(offset, window);
        streams.set(name, stream);
        if (name !== "timeline") this.#counts.set(stream, offset);
        return stream;
      },
      gap: (name, gap) => {
        this.#call.emit("receive.gap", { host: hostName, name, gap });
        const stream = streams.get(name);
        if (stream !== undefined) this.#count(stream, gap.to);
      },
      fail: (error) => this.#end(error),
    };
  }
}
