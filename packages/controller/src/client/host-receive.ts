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
import type { ExitEvent, JobEvent, OutEvent } from "./events.ts";
import { Interleaving } from "./interleaving.ts";

export interface HostReceiveOptions {
  readonly job: JobId;
  readonly host: HostName;
  readonly windowBytes: number;
  readonly timestamps: boolean;
  /** Called for each event, in order. */
  readonly emit: (event: JobEvent) => void;
}

export class HostReceive {
  readonly host: HostName;
  readonly #options: HostReceiveOptions;
  readonly #cursors = new Map<StreamName, Cursor>();
  readonly #interleaving: Interleaving | undefined;
  #started = false;
  #unreachableSince: number | undefined;
  #exit: ExitEvent | undefined;

  constructor(options: HostReceiveOptions) {
    this.#options = options;
    this.host = options.host;
    this.#interleaving = options.timestamps ? new Interleaving() : undefined;
  }

  /** The last that was heard of it. */
  get exit(): ExitEvent | undefined {
    return this.#exit;
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

  /** The consumer has handled this event. */
  handledEvent(event: OutEvent): void {
    this.#cursors.get(event.stream)?.handledTo(event.offset + event.bytes.byteLength);
  }

  /** The controller has opened a stream; what comes on it goes through `chunk`. */
  opened(name: StreamName, incoming: IncomingStream): void {
    this.#cursor(name, incoming.offset).attach(incoming);
  }

  chunk(name: StreamName, offset: number, bytes: Uint8Array): void {
    const cursor = this.#cursor(name, offset);
    cursor.moveTo(offset + bytes.byteLength);
    if (name === "timeline") {
      this.#emitPieces(this.#interleaving?.timeline(bytes) ?? []);
      cursor.handledTo(cursor.arrived);
    } else if (this.#interleaving === undefined) {
      this.#emitOut(name, offset, bytes);
    } else {
      this.#emitPieces(this.#interleaving.output(name, offset, bytes));
    }
  }

  gap(name: StreamName, { from, to, reason }: Gap): void {
    this.#cursor(name, from).skipTo(to);
    if (name === "timeline") return;
    this.#emitPieces(this.#interleaving?.skip(name, to) ?? []);
    const { job } = this.#options;
    this.#options.emit({ type: "gap", job, host: this.host, stream: name, from, to, reason });
  }

  changed(info: JobInfo): void {
    this.#emitStart(info);
    const { job } = this.#options;
    const { host } = this;
    const since = info.unreachableSince;
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
    if (this.#started || status.startedAt === undefined) return;
    this.#started = true;
    const { job } = this.#options;
    this.#options.emit({ type: "start", job, host: this.host, time: status.startedAt });
  }

  #emitOut(stream: OutputName, offset: number, bytes: Uint8Array, time?: number): void {
    const { job } = this.#options;
    const timed = time === undefined ? {} : { time };
    this.#options.emit({ type: "out", job, host: this.host, stream, offset, bytes, ...timed });
  }

  #emitPieces(pieces: ReturnType<Interleaving["flush"]>): void {
    for (const { stream, offset, bytes, time } of pieces) this.#emitOut(stream, offset, bytes, time);
  }

  #exitEvent({ status, unreachableSince }: JobInfo): ExitEvent {
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
    };
  }
}
