/**
 * Sends a fan-out job's spooled standard input to each of its hosts, by `job.input`, from wherever that host is. A host
 * that was cut off is asked again; the others do not notice.
 */
import { limits, OutpostError, type OutgoingStream } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Bus, HostLink } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import type { InputSpool } from "./input-spool.ts";
import type { Job } from "./job.ts";
import { noObserver, type Observer } from "./observer.ts";

/** Read at once per host, in bytes: a whole chunk, and less where there may be a thousand hosts. */
const minPieceBytes = 64 * 1024;
/** What all hosts of a job may have in pieces together, in bytes. */
const piecesBytes = 32 * 1024 * 1024;

export class InputFeed {
  readonly #fanOut: FanOut;
  readonly #spool: InputSpool;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #observer: Observer;
  /** The link on which each job is being fed. */
  readonly #feeding = new Map<Job, HostLink>();
  readonly #fed = new Set<Job>();
  readonly #pieceBytes: number;

  constructor(fanOut: FanOut, spool: InputSpool, bus: Bus, log: Logger, observer: Observer = noObserver) {
    this.#fanOut = fanOut;
    this.#spool = spool;
    const share = Math.floor(piecesBytes / Math.max(1, fanOut.jobs.length));
    this.#pieceBytes = Math.max(minPieceBytes, Math.min(limits.maxChunkBytes, share));
    this.#bus = bus;
    this.#log = log;
    this.#observer = observer;
  }

  /** Feeds every job that runs, now and later. */
  start(): void {
    this.#fanOut.onChanged((job) => this.#consider(job));
    for (const job of this.#fanOut.jobs) this.#consider(job);
  }

  #consider(job: Job): void {
    const link = this.#bus.link(job.host);
    const isDue = job.status.state === "running" && !job.isStarting && !this.#fed.has(job);
    if (!isDue || link === undefined || this.#feeding.get(job) === link) return;
    this.#feeding.set(job, link);
    void this.#feed(job, link).finally(() => {
      if (this.#feeding.get(job) === link) this.#feeding.delete(job);
    });
  }

  async #feed(job: Job, link: HostLink): Promise<void> {
    const answered = new AbortController();
    try {
      const out = link.openStream();
      const ready = Promise.withResolvers<void>();
      const answer = link.request(
        "job.input",
        { job: job.id, stream: out.number },
        {
          onEvent: ({ params }) => {
            out.begin(params.offset, params.window);
            ready.resolve();
          },
        },
      );
      const pumped = ready.promise.then(() => this.#pump(out, answered.signal)).catch(() => {});
      try {
        await answer;
        this.#fed.add(job);
      } finally {
        answered.abort();
        ready.resolve();
        this.#spool.wake();
        await pumped;
        out.end();
      }
    } catch (error) {
      // A job that has ended takes no more input, and a host that is away is fed again when it is back.
      const isExpected = !link.isOpen || job.isEnded || this.#spool.failure !== undefined;
      if (!isExpected)
        this.#log.warn({ host: job.hostName, job: job.id, err: error }, "a host did not take the input");
    }
  }

  async #pump(out: OutgoingStream, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { failure, isComplete, size } = this.#spool;
      if (failure !== undefined) {
        out.end(OutpostError.from(failure));
        return;
      }
      const left = size - out.offset;
      if (left > 0) {
        const room = Math.min(await out.ready(signal), left, this.#pieceBytes);
        const bytes = await this.#spool.read(out.offset, room);
        signal.throwIfAborted();
        out.send(bytes);
        this.#observer.relayed("input", "to_hosts", bytes.byteLength);
      } else if (isComplete) {
        out.end();
        return;
      } else {
        await this.#spool.next();
      }
    }
  }
}
