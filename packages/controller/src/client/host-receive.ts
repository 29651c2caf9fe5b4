/** One host's part of a receive: its cursors, and which events its messages become. Outlives connections. */
import type {
  FanOutDone,
  Gap,
  HostName,
  IncomingStream,
  InlineChunk,
  JobId,
  JobInfo,
  OutputName,
  Positions,
  StreamName,
} from "@outpost/protocol";
import { Cursor } from "./cursor.ts";
import type { ExitEvent, GapEvent, JobEvent, OutEvent } from "./events.ts";
import { Interleaving, type TimedPiece } from "./interleaving.ts";

export interface HostReceiveOptions {
  readonly job: JobId;
  readonly host: HostName;
  readonly windowBytes: number;
  /** Puts times to the output. Each wanted stream MUST have begun (`begin`) before anything of it comes. */
  readonly timestamps: boolean;
  /** Called for each event, in order. */
  readonly emit: (event: JobEvent) => void;
}

export class HostReceive {
  readonly host: HostName;
  readonly #options: HostReceiveOptions;
  readonly #cursors = new Map<StreamName, Cursor>();
  #interleaving: Interleaving | undefined;
  #started = false;
  #unreachableSince: number | undefined;
  #queued: JobInfo["queued"];
  #exit: ExitEvent | undefined;

  constructor(options: HostReceiveOptions) {
    this.#options = options;
    this.host = options.host;
  }

  /** Fixes where the streams begin, when that is known beforehand. */
  begin(positions: Pick<Positions, OutputName>): void {
    for (const name of ["stdout", "stderr"] as const) {
      const offset = positions[name];
      if (offset !== undefined) this.#cursor(name, offset);
    }
    if (this.#options.timestamps) this.#interleaving = new Interleaving(positions);
  }

  /** The last that was heard of it. */
  get exit(): ExitEvent | undefined {
    return this.#exit;
  }

  /** Nothing was sent to it yet, and it is known to be away. */
  get isAwaited(): boolean {
    return this.#exit === undefined && this.#queued === "host";
  }

  /** It is left as it stands: what it waits for is not waited for here. */
  leave(): void {
    const { job } = this.#options;
    this.#exit = {
      type: "exit",
      job,
      host: this.host,
      ended: false,
      state: "pending",
      ...(this.#queued === undefined ? {} : { queued: this.#queued }),
    };
    this.#options.emit(this.#exit);
  }

  /** Where a new connection goes on. A stream of which nothing came begins where the last receive ended, the timeline at
   * its first record: it says when everything was, not only what is new. */
  get positions(): Positions {
    const positions: Positions = this.#options.timestamps ? { timeline: 0 } : {};
    for (const [name, cursor] of this.#cursors) positions[name] = cursor.arrived;
    return positions;
  }

  /** What the consumer is done with. */
  get handled(): Pick<Positions, OutputName> {
    const stdout = this.#cursors.get("stdout")?.handled;
    const stderr = this.#cursors.get("stderr")?.handled;
    return {
      ...(stdout === undefined ? {} : { stdout }),
      ...(stderr === undefined ? {} : { stderr }),
    };
  }

  /** The consumer has handled this event. A gap needs nothing more, but what is behind it cannot be acknowledged without it. */
  handledEvent(event: OutEvent | GapEvent): void {
    const cursor = this.#cursors.get(event.stream);
    if (event.type === "gap") cursor?.handledTo(event.to, 0);
    else cursor?.handledTo(event.offset + event.bytes.byteLength, event.bytes.byteLength);
  }

  /** The controller has opened a stream; what comes on it goes through `chunk`. */
  opened(name: StreamName, incoming: IncomingStream): void {
    this.#cursor(name, incoming.offset).attach(incoming);
  }

  chunk(name: StreamName, offset: number, bytes: Uint8Array): void {
    this.#cursor(name, offset).came(bytes.byteLength);
    if (name === "timeline") {
      this.#emitPieces(this.#interleaving?.timeline(bytes) ?? []);
    } else if (this.#interleaving === undefined) {
      this.#emitOut(name, offset, bytes);
    } else {
      this.#emitPieces(this.#interleaving.output(name, offset, bytes));
    }
  }

  gap(name: StreamName, { from, to, reason }: Gap): void {
    this.#cursor(name, from).skipTo(to);
    if (name === "timeline") this.#interleaving?.timelineGap();
    else if (this.#interleaving === undefined) this.#emitGap(name, { from, to, reason });
    else this.#emitPieces(this.#interleaving.skip(name, { from, to, reason }));
  }

  changed(info: JobInfo): void {
    this.#emitStart(info);
    const { job } = this.#options;
    const { host } = this;
    this.#queued = info.queued;
    // Nothing of it is there yet: nobody waits for its output, and the end says what it waits for.
    const since = info.queued === undefined ? info.unreachableSince : undefined;
    if (since === this.#unreachableSince) return;
    this.#unreachableSince = since;
    this.#options.emit(
      since === undefined
        ? { type: "notice", job, host, code: "host_reconnected", message: `${host} is connected again` }
        : {
            type: "notice",
            job,
            host,
            code: "host_unreachable",
            message: `${host} cannot be reached; its job goes on there, and its output waits`,
            since,
          },
    );
  }

  /** The host's last word. */
  done({ info, tail }: FanOutDone): void {
    this.#queued = info.queued;
    this.#emitStart(info);
    // The timeline first: it says when the rest was written.
    for (const name of ["timeline", "stdout", "stderr"] as const) {
      const piece = tail?.[name];
      if (piece !== undefined) this.#inline(name, piece);
    }
    this.#emitPieces(this.#interleaving?.flush() ?? []);
    this.#exit = this.#exitEvent(info);
    this.#options.emit(this.#exit);
  }

  /** As a chunk, but outside the streams; what had arrived before a cut is left out. */
  #inline(name: StreamName, { offset, bytes }: InlineChunk): void {
    const { arrived } = this.#cursor(name, offset);
    const fresh = bytes.subarray(Math.max(0, arrived - offset));
    if (fresh.byteLength > 0) this.chunk(name, Math.max(arrived, offset), fresh);
  }

  #cursor(name: StreamName, offset: number): Cursor {
    let cursor = this.#cursors.get(name);
    if (cursor === undefined) {
      cursor = new Cursor(offset, this.#options.windowBytes);
      this.#cursors.set(name, cursor);
    }
    return cursor;
  }

  #emitStart({ status }: JobInfo): void {
    if (status.startedAt !== undefined) this.#start(status.startedAt);
  }

  #start(time?: number): void {
    if (this.#started) return;
    this.#started = true;
    const timed = time === undefined ? {} : { time };
    this.#options.emit({ type: "start", job: this.#options.job, host: this.host, ...timed });
  }

  #emitOut(stream: OutputName, offset: number, bytes: Uint8Array, time?: number): void {
    // What has written something was started, also when nobody has said so yet.
    this.#start();
    const { job } = this.#options;
    const timed = time === undefined ? {} : { time };
    this.#options.emit({ type: "out", job, host: this.host, stream, offset, bytes, ...timed });
  }

  #emitGap(stream: OutputName, { from, to, reason }: Gap): void {
    this.#start();
    this.#options.emit({ type: "gap", job: this.#options.job, host: this.host, stream, from, to, reason });
  }

  #emitPieces(pieces: readonly TimedPiece[]): void {
    for (const piece of pieces) {
      if ("gap" in piece) this.#emitGap(piece.stream, piece.gap);
      else this.#emitOut(piece.stream, piece.offset, piece.bytes, piece.time);
    }
    // The timeline runs no further ahead of the output than its window.
    const timeline = this.#cursors.get("timeline");
    if (timeline === undefined) return;
    const read = timeline.arrived - (this.#interleaving?.waitingTimelineBytes ?? 0);
    timeline.handledTo(read, read - timeline.handled);
  }

  #exitEvent({ status, unreachableSince, queued }: JobInfo): ExitEvent {
    const { state, exit, reason, startedAt, endedAt } = status;
    return {
      type: "exit",
      job: this.#options.job,
      host: this.host,
      ended: state !== "pending" && state !== "running",
      state,
      ...(exit === undefined ? {} : { exit }),
      ...(reason === undefined ? {} : { reason }),
      ...(startedAt === undefined ? {} : { startedAt }),
      ...(endedAt === undefined ? {} : { endedAt }),
      ...(unreachableSince === undefined ? {} : { unreachableSince }),
      ...(queued === undefined ? {} : { queued }),
    };
  }
}
