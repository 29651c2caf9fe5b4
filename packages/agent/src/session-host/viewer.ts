/**
 * One attached terminal: what of the output it has been sent, at its own pace.
 *
 *     catching up ──has all──▶ live ──no credit, or the socket is full──▶ catching up
 *          │                                                                  │
 *          ├── more than maxLag behind, or bytes are gone: gap, then repaint ─┘
 *          └── told to finish, and has all; or told to leave ──▶ over
 *
 * A live viewer is sent output as it comes, in the same turn of the event loop, from memory. One that catches up reads
 * the log as far as its credit goes, so it holds up nobody and costs no memory.
 */
import {
  type AttachChanged,
  type AttachRepaint,
  ErrorCode,
  type OutgoingStream,
  OutpostError,
  type SessionAttachResult,
  type SessionGap,
  type SessionGapReason,
  type Viewer as ViewerInfo,
  type ViewerId,
  type ViewerRole,
} from "@outpost/protocol";
import type { Snapshot } from "./screen.ts";

/** What a viewer shows. */
export interface ViewedOutput {
  /** The offset of the next byte to come. */
  readonly end: number;
  /** As `OutputLog.read` and `OutputLog.kept`. */
  read(offset: number, block: Uint8Array): number;
  kept(offset: number): number;
  /** Why the byte at `offset` is not there. */
  missing(offset: number): SessionGapReason;
  /** The screen as it is at `end`; `undefined` when there is none any more. */
  snapshot(scrollback: boolean): Promise<Snapshot> | undefined;
}

/** The connection as one attach sees it. */
export interface ViewerWire {
  /** Announced, and begun at the viewer's position. */
  readonly stream: OutgoingStream;
  /** Aborts when the viewer cancels or its connection is cut. */
  readonly signal: AbortSignal;
  /** Whether the socket's queue is short enough to send without asking. */
  hasRoom(): boolean;
  gap(gap: SessionGap): void;
  repaint(repaint: AttachRepaint): void;
  changed(changed: AttachChanged): void;
}

export interface ViewerOptions {
  readonly viewer: ViewerId;
  readonly operator: string;
  readonly role: ViewerRole;
  readonly since: number;
  readonly columns: number;
  readonly rows: number;
  /** Where its output begins. */
  readonly position: number;
  /** How far behind it may be, in bytes. */
  readonly maxLag: number | undefined;
}

/** How an attach ended, but for the status. */
export type Leaving = Pick<SessionAttachResult, "reason" | "by">;

const blockBytes = 64 * 1024;
/** Filled and sent within one turn of the event loop: sending copies. */
const block = Buffer.alloc(blockBytes);

export class Viewer {
  readonly id: ViewerId;
  readonly operator: string;
  readonly since: number;
  role: ViewerRole;
  columns: number;
  rows: number;
  readonly #output: ViewedOutput;
  readonly #wire: ViewerWire;
  readonly #maxLag: number;
  readonly #over = new AbortController();
  readonly #done = Promise.withResolvers<Leaving>();
  #position: number;
  #catchingUp = false;
  /** A repaint that comes when the viewer has been sent what is before it. */
  #repaint: { readonly offset: number; readonly snapshot: Promise<Snapshot> } | undefined;
  /** How it will leave once it has everything below `at`. */
  #finish: { readonly leaving: Leaving; readonly at: number } | undefined;

  constructor(options: ViewerOptions, output: ViewedOutput, wire: ViewerWire) {
    this.id = options.viewer;
    this.operator = options.operator;
    this.since = options.since;
    this.role = options.role;
    this.columns = options.columns;
    this.rows = options.rows;
    this.#position = options.position;
    this.#maxLag = options.maxLag ?? Infinity;
    this.#output = output;
    this.#wire = wire;
    const onAbort = (): void => this.abort(OutpostError.from(wire.signal.reason, ErrorCode.cancelled));
    if (wire.signal.aborted) onAbort();
    wire.signal.addEventListener("abort", onAbort);
    const settled = (): void => wire.signal.removeEventListener("abort", onAbort);
    this.#done.promise.then(settled, settled);
  }

  /** Resolves when it leaves, after its stream has ended. @throws OutpostError when it is cut off */
  get done(): Promise<Leaving> {
    return this.#done.promise;
  }

  /** From where on it needs the output: what it is further behind than it may be, it will not be sent. */
  get neededFrom(): number {
    return Math.max(this.#position, this.#output.end - this.#maxLag);
  }

  get info(): ViewerInfo {
    return { viewer: this.id, operator: this.operator, role: this.role, since: this.since };
  }

  /** Begins to send. @param repaint shows the screen as it is now once it has been sent what is before; `scrollback`: with the lines above */
  start(repaint: "none" | "screen" | "scrollback"): void {
    if (repaint !== "none") this.#repaintNow(repaint === "scrollback");
    this.#wake();
  }

  /** Output has come, from `offset` on. */
  produced(offset: number, bytes: Uint8Array): void {
    const { stream } = this.#wire;
    const isLive = !this.#catchingUp && this.#position === offset && !stream.ended;
    if (isLive && stream.sendable >= bytes.byteLength && this.#wire.hasRoom()) {
      stream.send(bytes);
      this.#position += bytes.byteLength;
    } else this.#wake();
  }

  changed(changed: AttachChanged): void {
    this.#wire.changed(changed);
  }

  /** Leaves when it has been sent all that is there now. */
  finish(leaving: Leaving): void {
    this.#finish ??= { leaving, at: this.#output.end };
    this.#wake();
  }

  /** Leaves now. */
  leave(leaving: Leaving): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#wire.stream.end();
    this.#done.resolve(leaving);
  }

  /** Is cut off. */
  abort(error: OutpostError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#wire.stream.end(error);
    this.#done.reject(error);
  }

  #wake(): void {
    if (this.#catchingUp || this.#over.signal.aborted) return;
    this.#catchingUp = true;
    this.#catchUp().catch((error: unknown) => this.abort(OutpostError.from(error)));
  }

  async #catchUp(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const limit = Math.min(this.#output.end, this.#repaint?.offset ?? Infinity);
      if (this.#position < limit) await this.#sendPiece();
      else if (this.#repaint !== undefined) await this.#sendRepaint(this.#repaint);
      else if (this.#finish !== undefined && this.#position >= this.#finish.at)
        this.leave(this.#finish.leaving);
      else break;
    }
    // No turn of the event loop may come between seeing that it has everything and being live.
    this.#catchingUp = false;
  }

  async #sendPiece(): Promise<void> {
    const { stream } = this.#wire;
    const credit = await stream.ready(this.#over.signal);
    // It may have waited for long.
    if (this.#output.end - this.#position > this.#maxLag) {
      this.#skip("lagging");
      return;
    }
    if (this.#output.kept(this.#position) > this.#position) {
      this.#skip(this.#output.missing(this.#position));
      return;
    }
    const limit = Math.min(this.#output.end, this.#repaint?.offset ?? Infinity);
    const length = Math.min(credit, limit - this.#position, blockBytes);
    const read = this.#output.read(this.#position, block.subarray(0, length));
    stream.send(block.subarray(0, read));
    this.#position += read;
  }

  /** Leaves out what lies before the end as it is now, and shows the screen instead. */
  #skip(reason: SessionGapReason): void {
    const to = this.#output.end;
    this.#wire.gap({ from: this.#position, to, reason });
    this.#wire.stream.skipTo(to);
    this.#position = to;
    this.#repaintNow(false);
  }

  #repaintNow(scrollback: boolean): void {
    const snapshot = this.#output.snapshot(scrollback);
    this.#repaint = snapshot === undefined ? undefined : { offset: this.#output.end, snapshot };
  }

  async #sendRepaint(repaint: { readonly snapshot: Promise<Snapshot> }): Promise<void> {
    const snapshot = await repaint.snapshot;
    if (this.#over.signal.aborted) return;
    this.#repaint = undefined;
    this.#wire.repaint(snapshot);
  }
}
