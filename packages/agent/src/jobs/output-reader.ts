/**
 * Sends a job's streams from offsets to a reader, at the reader's pace, until everything is sent and (if it follows)
 * the job has ended. Holds at most one block in memory at a time, and none while it waits.
 *
 * Order: timeline bytes before the output that they are about; stdout and stderr as the timeline has them, each as far
 * as its credit goes: a stream without credit never holds up another. Streams are opened when there is something to
 * send on them. Ends come last, and the status after them.
 */
import { closeSync, read, readSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type Gap,
  type JobReadParams,
  type JobReadResult,
  limits,
  type OutgoingStream,
  OutpostError,
  Packer,
  type StreamName,
  type Tail,
} from "@outpost/protocol";
import { Blocks } from "./blocks.ts";
import { Interleaving, type LaneState } from "./interleaving.ts";
import type { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
import { isReplaced, openJobFile } from "./job-file.ts";
import { TimelineReader } from "./timeline-reader.ts";

const readAt = promisify(read);
/** Reads up to this size are faster done than handed to another thread, in bytes. */
const syncReadBytes = 16 * 1024;
/** After so many pieces others have a turn. */
const piecesPerTurn = 32;

/** Where a reader puts what it reads. */
export interface ReadSink {
  /** A stream opened and announced, begun at `offset` with the reader's window. */
  open(name: StreamName, offset: number): OutgoingStream;
  /** Bytes are missing. Called before the chunk that follows them. The reader of the job moves the stream, if it is open. */
  gap(name: StreamName, gap: Gap): void;
}

interface Lane {
  readonly name: StreamName;
  at: number;
  file: number | undefined;
  stream: OutgoingStream | undefined;
  readonly packer: Packer;
  /** Waiting for credit. */
  waiting: boolean;
}

const names = ["timeline", "stdout", "stderr"] as const;

export class OutputReader {
  readonly #job: Job;
  readonly #directory: JobDirectory;
  readonly #params: JobReadParams;
  readonly #sink: ReadSink;
  readonly #signal: AbortSignal;
  readonly #lanes: Lane[];
  readonly #interleaving = new Interleaving();
  readonly #timeline: TimelineReader;
  readonly #wakeup = new Wakeup();
  #failure: OutpostError | undefined;

  constructor(job: Job, directory: JobDirectory, params: JobReadParams, sink: ReadSink, signal: AbortSignal) {
    this.#job = job;
    this.#directory = directory;
    this.#params = params;
    this.#sink = sink;
    this.#signal = signal;
    this.#timeline = new TimelineReader(directory.file("timeline"));
    this.#lanes = names
      .filter((name) => params.from[name] !== undefined)
      .map((name) => ({
        name,
        at: params.from[name]!,
        file: undefined,
        stream: undefined,
        packer: new Packer(params.packed === true),
        waiting: false,
      }));
  }

  /** @throws OutpostError `cancelled`, `disconnected`; `conflict` when a file is none any more; every opened stream has then ended with it */
  async run(): Promise<JobReadResult> {
    const unwatch = this.#job.watch(() => this.#wakeup.wake());
    const onAbort = (): void => this.#wakeup.wake();
    this.#signal.addEventListener("abort", onAbort);
    try {
      const tail = await this.#send();
      for (const { stream } of this.#lanes) stream?.end();
      return { status: this.#job.status(), ...(tail === undefined ? {} : { tail }) };
    } catch (error) {
      for (const { stream } of this.#lanes) stream?.end(OutpostError.from(error));
      throw error;
    } finally {
      unwatch();
      this.#signal.removeEventListener("abort", onAbort);
      this.#timeline.close();
      for (const { file } of this.#lanes) if (file !== undefined) closeSync(file);
    }
  }

  async #send(): Promise<Tail | undefined> {
    const frozen = this.#params.follow ? undefined : this.#extents();
    for (let pieces = 1; ; pieces++) {
      this.#throwIfOver();
      // Whether it has ended first, then how much there is: what came between would be missed the other way round.
      const { ended } = this.#job;
      const extents = frozen ?? this.#extents();
      const tail = ended ? this.#tail(extents) : undefined;
      if (tail !== undefined) return tail;
      if (await this.#sendPiece(extents)) {
        if (pieces % piecesPerTurn === 0) await nextTurn();
        continue;
      }
      const done = this.#lanes.every(({ name, at }) => at >= extents[name]);
      if (done && (ended || frozen !== undefined)) return undefined;
      await this.#wakeup.wait();
    }
  }

  #throwIfOver(): void {
    if (this.#signal.aborted) throw OutpostError.from(this.#signal.reason);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #extents(): Record<StreamName, number> {
    const { written, timelineBytes } = this.#job;
    return { stdout: written.stdout, stderr: written.stderr, timeline: timelineBytes };
  }

  /** What remains, if it is short and nothing of it has gone out on a stream. */
  #tail(extents: Record<StreamName, number>): Tail | undefined {
    if (this.#lanes.some(({ stream }) => stream !== undefined)) return undefined;
    const remaining = this.#lanes.map(({ name, at }) => Math.max(0, extents[name] - at));
    // The reader has no place for more than its window.
    if (remaining.some((bytes) => bytes > this.#params.window)) return undefined;
    if (remaining.reduce((sum, bytes) => sum + bytes, 0) > limits.maxInlineOutputBytes) return undefined;
    const tail: Tail = {};
    for (const lane of this.#lanes) {
      const bytes = this.#remaining(lane, extents[lane.name]);
      if (bytes.length > 0) tail[lane.name] = { offset: lane.at, bytes };
      lane.at += bytes.length;
      if (lane.at < extents[lane.name]) this.#missing(lane, extents[lane.name]);
    }
    return tail;
  }

  /** All that a short stream has beyond what was read, or as much as is there. */
  #remaining(lane: Lane, extent: number): Uint8Array {
    // A short job's timeline may be in memory only; to write it just for this would cost a file.
    const memory = lane.name === "timeline" ? this.#job.unwritten?.timeline() : undefined;
    if (memory !== undefined) return memory.subarray(lane.at, extent);
    if (lane.at >= extent) return new Uint8Array();
    if (lane.name === "timeline") this.#job.unwritten?.flush();
    const file = this.#open(lane);
    const bytes = Buffer.alloc(extent - lane.at);
    return bytes.subarray(0, file === undefined ? 0 : readSync(file, bytes, 0, bytes.length, lane.at));
  }

  /** Sends one piece of one stream. False when nothing can be sent now. */
  async #sendPiece(extents: Record<StreamName, number>): Promise<boolean> {
    const timeline = this.#lanes.find(({ name }) => name === "timeline");
    if (timeline !== undefined && timeline.at < extents.timeline && this.#hasCredit(timeline)) {
      this.#job.unwritten?.flush();
      return this.#sendFrom(timeline, extents.timeline, extents.timeline);
    }
    const outputs = this.#lanes.filter(({ name }) => name !== "timeline");
    if (outputs.length < 2) {
      const [only] = outputs;
      if (only === undefined || only.at >= extents[only.name] || !this.#hasCredit(only)) return false;
      return this.#sendFrom(only, extents[only.name], extents[only.name]);
    }
    const [stdout, stderr] = outputs as [Lane, Lane];
    const chosen = await this.#interleaving.choose(
      { stdout: this.#state(stdout, extents), stderr: this.#state(stderr, extents) },
      extents,
      () => this.#nextGrowth(extents),
    );
    if (chosen === undefined) return false;
    return this.#sendFrom(
      chosen === "stdout" ? stdout : stderr,
      this.#interleaving.limit(chosen),
      extents[chosen],
    );
  }

  #state(lane: Lane, extents: Record<StreamName, number>): LaneState {
    return { at: lane.at, open: lane.at < extents[lane.name] && this.#hasCredit(lane) };
  }

  #nextGrowth(extents: Record<StreamName, number>): ReturnType<TimelineReader["next"]> {
    if (this.#timeline.at < extents.timeline) this.#job.unwritten?.flush();
    return this.#timeline.next(extents.timeline);
  }

  /** A stream without credit wakes the reader when it has some. One that is not open yet will begin with a window. */
  #hasCredit(lane: Lane): boolean {
    const { stream } = lane;
    if (stream === undefined) return true;
    if (stream.sendable > 0 && !stream.ended) return true;
    if (!lane.waiting) {
      lane.waiting = true;
      stream
        .ready(this.#signal)
        .catch((error: unknown) => (this.#failure = OutpostError.from(error)))
        .finally(() => {
          lane.waiting = false;
          this.#wakeup.wake();
        });
    }
    return false;
  }

  /** @param upTo where this piece ends at the latest @param extent how much of the stream there should be */
  async #sendFrom(lane: Lane, upTo: number, extent: number): Promise<boolean> {
    const file = this.#open(lane);
    if (file === undefined) return this.#missing(lane, extent);
    if (lane.stream === undefined) {
      lane.stream = this.#sink.open(lane.name, lane.at);
      // The window may be nothing; then the first credit has to come.
      if (lane.stream.sendable === 0) return true;
    }
    // Credit is there; this waits for the socket.
    const credit = await lane.stream.ready(this.#signal);
    const bytes = Math.min(upTo - lane.at, credit, limits.maxChunkBytes);
    const length = await Blocks.shared.use(async (block) => {
      const got =
        bytes <= syncReadBytes
          ? readSync(file, block, 0, bytes, lane.at)
          : (await readAt(file, block, 0, bytes, lane.at)).bytesRead;
      // Sending copies, so the block is free again.
      if (got > 0 && lane.stream?.ended === false) {
        lane.packer.send(lane.stream, block.subarray(0, got));
      }
      return got;
    });
    lane.at += length;
    if (length < bytes) this.#missing(lane, extent);
    return true;
  }

  #open(lane: Lane): number | undefined {
    if (lane.file !== undefined) return lane.file;
    try {
      lane.file = openJobFile(this.#directory.file(lane.name), "r");
    } catch (error) {
      if (isReplaced(error)) throw error;
      return undefined;
    }
    return lane.file;
  }

  /** The file is shorter than it was, or gone. */
  #missing(lane: Lane, extent: number): true {
    const gap = { from: lane.at, to: extent, reason: this.#job.removed ?? "truncated" } as const;
    this.#sink.gap(lane.name, gap);
    lane.stream?.skipTo(extent);
    lane.at = extent;
    return true;
  }
}

/** Remembers a wake that comes before the wait. */
class Wakeup {
  #woken = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#woken = true;
    this.#resolve?.();
  }

  async wait(): Promise<void> {
    if (!this.#woken) await new Promise<void>((resolve) => (this.#resolve = resolve));
    this.#woken = false;
    this.#resolve = undefined;
  }
}
