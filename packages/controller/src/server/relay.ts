/**
 * One job's output from its host to one operator: chunks down, credit up, one to one. Nothing is kept in between; what
 * the host may send is what the operator's stream has as credit left. When the host's connection is lost the operator's
 * streams stay open, and the read goes on from where they are when the host is back.
 *
 *     settled? ──yes──▶ done                      the job has ended and nothing is left, or all of it is at hand (tail)
 *        ▲  └──no──▶ host reachable? ──no──▶ wait (follow) or done
 *        │                └──yes──▶ read ──answered──▶ done
 *        └───────────cut, or busy─────┘
 */
import {
  type Authorization,
  type Clock,
  ErrorCode,
  type FanOutDone,
  type Gap,
  limits,
  OutpostError,
  type OutgoingStream,
  type OutputName,
  type StreamName,
  type Tail,
} from "@outpost/protocol";
import type { Bus, HostLink } from "./bus.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import { readJob, sliceTail, type ReadTarget } from "./host-read.ts";
import { isEnded } from "./job-status.ts";
import type { Job } from "./job.ts";
import { noObserver, type Observer } from "./observer.ts";
import { Wake } from "./wake.ts";

/** One host's part of an operator's receive. */
export interface OperatorSink {
  /** Opens a stream to the operator, announced and begun with the operator's window. @throws OutpostError `limit_exceeded` */
  open(name: StreamName, offset: number): OutgoingStream;
  gap(name: StreamName, gap: Gap): void;
  /** The receive cannot go on: the operator's side is broken. */
  fail(error: unknown): void;
}

export interface RelayOptions {
  readonly fanOut: FanOut;
  readonly job: Job;
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly dispatch: Pick<Dispatch, "unknownToHost">;
  readonly clock: Clock;
  /** Where to begin, for each stream that is wanted. */
  readonly from: ReadonlyMap<StreamName, number>;
  readonly follow: boolean;
  /** The operator's first credit beyond the start of each stream, in bytes. */
  readonly window: number;
  /** The most that may be on its way from the host on each stream, in bytes, whatever the operator grants. */
  readonly cap: number;
  /** The operator takes packed chunks; they pass as they are. */
  readonly packed: boolean;
  /** What the operator has signed for the hosts. */
  readonly authorization?: Authorization | undefined;
  /** Default: nobody. */
  readonly observer?: Observer;
  readonly sink: OperatorSink;
  readonly signal: AbortSignal;
}

/** Reading the same job from one host, before a host that keeps refusing fails the receive. */
const maxFailures = 4;
const firstRetryMs = 200;

export class Relay {
  readonly #options: RelayOptions;
  readonly #streams: ReadonlyMap<StreamName, RelayedStream>;
  readonly #wake = new Wake();

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#streams = new Map(
      [...options.from].map(([name, position]) => [name, new RelayedStream(name, position, options)]),
    );
  }

  /** Something about the job, its host or the receive has changed. */
  wake(): void {
    this.#wake.ring();
  }

  /** Runs until the last byte has gone to the operator's streams, and ends them. @throws OutpostError; the signal's reason */
  async run(): Promise<FanOutDone> {
    const { job, bus, follow, signal } = this.#options;
    for (let failures = 0; ;) {
      signal.throwIfAborted();
      const settled = this.#withoutHost();
      if (settled !== undefined) return this.#done(settled);
      const link = bus.link(job.host);
      if (link !== undefined && !job.isStarting && job.status.state !== "pending") {
        const tail = await this.#read(link).catch((error: unknown) =>
          this.#readFailed(link, error, ++failures),
        );
        if (tail !== undefined) return this.#done(tail);
      } else if (!follow || this.#writtenOff()) {
        return this.#done({});
      } else {
        await this.#wake.next();
      }
    }
  }

  /** Returns the tail, or `undefined` when there is more to read. */
  async #read(link: HostLink): Promise<Tail | undefined> {
    const { job, fanOut, fanOuts, follow, packed, authorization, signal } = this.#options;
    const options = { follow, packed, authorization, signal };
    const result = await readJob(link, job.id, this.#streams, options);
    fanOuts.note(fanOut, job, job.report(result.status, link));
    const tail = sliceTail(result.tail ?? {}, this.#streams);
    if (tail === undefined) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `${job.hostName} left bytes out before the end of its output`,
      );
    }
    // With `follow` only an end is an answer.
    return follow && !isEnded(result.status) ? undefined : tail;
  }

  /** A cut is waited out. Other errors are tried again a few times, then thrown. */
  async #readFailed(link: HostLink, reason: unknown, failures: number): Promise<Tail | undefined> {
    const { job, fanOut, fanOuts, dispatch, clock, signal } = this.#options;
    signal.throwIfAborted();
    if (!link.isOpen) return undefined;
    const error = OutpostError.from(reason);
    if (error.code === ErrorCode.notFound) {
      if (!job.isEnded) dispatch.unknownToHost(fanOut, job);
      fanOuts.note(fanOut, job, job.gone());
      this.#writeOff();
      return {};
    }
    // A host's no is its last word.
    if (failures >= maxFailures || error.code === ErrorCode.denied) {
      throw new OutpostError(error.code, `${job.hostName}: ${error.message}`, {
        data: { ...error.data, host: job.hostName },
        cause: error,
      });
    }
    clock.after(firstRetryMs * 2 ** failures, () => this.#wake.ring());
    await this.#wake.next();
    return undefined;
  }

  /** The rest of the output, when it can be had without the host. */
  #withoutHost(): Tail | undefined {
    const { job } = this.#options;
    if (!job.isEnded) return undefined;
    if (!this.#isTimelineOnly() && this.#remaining().length === 0) return {};
    if (job.tail === undefined) return undefined;
    const tail = sliceTail(job.tail, this.#streams);
    if (tail === undefined) return undefined;
    const isWhole = this.#remaining().every((stream) => {
      const chunk = tail[stream.name];
      return (
        chunk !== undefined &&
        chunk.offset + chunk.bytes.byteLength === this.#written(stream.name as OutputName)
      );
    });
    // A timeline that did not come along has to be fetched.
    const isTimed = !this.#streams.has("timeline") || job.tail.timeline !== undefined;
    return isWhole && isTimed ? tail : undefined;
  }

  /** The host cannot be asked, and would have nothing. Returns whether that is so. */
  #writtenOff(): boolean {
    const { job } = this.#options;
    if (!job.isEnded || job.isHeld) return false;
    this.#writeOff();
    return true;
  }

  #writeOff(): void {
    for (const stream of this.#remaining()) {
      const { received, status } = this.#options.job;
      const { written } = status.output[stream.name as OutputName];
      const safe = Math.min(received[stream.name], written);
      if (stream.position < safe) stream.gap({ from: stream.position, to: safe, reason: "received" });
      if (stream.position < written) stream.gap({ from: stream.position, to: written, reason: "removed" });
    }
  }

  #remaining(): RelayedStream[] {
    return [...this.#streams.values()].filter(
      ({ name, position }) => name !== "timeline" && position < this.#written(name),
    );
  }

  #written(name: OutputName): number {
    return this.#options.job.status.output[name].written;
  }

  #isTimelineOnly(): boolean {
    return this.#streams.has("timeline") && this.#streams.size === 1;
  }

  #done(tail: Tail): FanOutDone {
    const { fanOut, job, bus } = this.#options;
    for (const stream of this.#streams.values()) stream.end();
    return {
      info: fanOut.jobInfo(job, bus),
      ...(Object.keys(tail).length === 0 ? {} : { tail }),
    };
  }
}

/** One stream of the job, and the operator's stream that carries it on; opened when there is something to carry. */
class RelayedStream implements ReadTarget {
  readonly name: StreamName;
  position: number;
  readonly #window: number;
  readonly #cap: number;
  readonly #sink: OperatorSink;
  readonly #observer: Observer;
  #out: OutgoingStream | undefined;
  #source: { grant(upTo: number): void } | undefined;
  #granted = 0;

  constructor(
    name: StreamName,
    position: number,
    { window, cap, sink, observer = noObserver }: RelayOptions,
  ) {
    this.name = name;
    this.position = position;
    this.#window = window;
    this.#cap = Math.max(cap, limits.minWindowBytes);
    this.#sink = sink;
    this.#observer = observer;
  }

  get allowance(): number {
    const credit = this.#out === undefined ? this.#window : this.#out.sendable;
    return this.position + Math.min(credit, this.#cap);
  }

  opened(source: { grant(upTo: number): void }): void {
    this.#source = source;
    this.#granted = this.allowance;
    if (this.#out !== undefined) return;
    try {
      this.#out = this.#sink.open(this.name, this.position);
      this.#out.onCredit(() => this.#grant(1));
    } catch (error) {
      this.#sink.fail(error);
    }
  }

  chunk(bytes: Uint8Array, size?: number): boolean {
    // The operator's connection is gone; the receive ends in a moment.
    if (this.#out === undefined || this.#out.ended) return false;
    if (size === undefined) this.#out.send(bytes);
    else this.#out.sendPacked(bytes, size);
    this.position += size ?? bytes.byteLength;
    this.#observer.relayed("output", "from_hosts", size ?? bytes.byteLength);
    // Only where the operator has granted more than we let the host send; else its next credit does it.
    this.#grant(this.#cap / 2);
    return true;
  }

  gap(gap: Gap): void {
    this.#sink.gap(this.name, gap);
    this.#out?.skipTo(gap.to);
    this.position = gap.to;
    this.#granted = Math.max(this.#granted, gap.to);
  }

  end(): void {
    this.#out?.end();
  }

  #grant(least: number): void {
    const { allowance } = this;
    if (allowance - this.#granted < least) return;
    this.#granted = allowance;
    this.#source?.grant(allowance);
  }
}
