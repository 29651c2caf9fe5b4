/**
 * A session's output on its way to whoever shows it: its position, its credit, and events in their order. Outlives
 * connections. What waits here is bounded: output by the window, repaints by there being one at most behind which nothing
 * came.
 */
import {
  ErrorCode,
  type HostName,
  type IncomingStream,
  limits,
  OutpostError,
  type SessionGap,
} from "@outpost/protocol";
import { Cursor } from "./cursor.ts";
import type { EventQueue } from "./event-queue.ts";
import type {
  AttachmentEvent,
  SessionGapEvent,
  SessionOutputEvent,
  SessionRepaintEvent,
} from "./session-events.ts";

/** How much output may wait for the one who shows it, in bytes. After Ctrl-C so much still comes: not more than a
 * terminal shows in a few hundredths of a second. */
export const windowBytes = limits.defaultWindowBytes;

export class TerminalOutput {
  readonly #host: HostName;
  readonly #queue: EventQueue<AttachmentEvent>;
  #cursor: Cursor | undefined;

  constructor(host: HostName, queue: EventQueue<AttachmentEvent>) {
    this.#host = host;
    this.#queue = queue;
  }

  /** Where a new connection goes on; undefined before the first. */
  get position(): number | undefined {
    return this.#cursor?.arrived;
  }

  /** A (new) connection's stream. @throws OutpostError `protocol_error` when it goes back */
  opened(incoming: IncomingStream, wanted: number | undefined): void {
    this.#cursor ??= new Cursor(wanted ?? incoming.offset, windowBytes);
    const { arrived } = this.#cursor;
    if (incoming.offset < arrived) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `output from ${String(incoming.offset)}, where ${String(arrived)} was due`,
      );
    }
    if (incoming.offset > arrived) {
      this.#skip({ from: arrived, to: incoming.offset, reason: "dropped" });
    }
    this.#cursor.attach(incoming);
  }

  chunk(offset: number, bytes: Uint8Array): void {
    this.#cursor?.came(bytes.byteLength);
    this.#queue.push({ type: "output", host: this.#host, offset, bytes });
  }

  gap(gap: SessionGap): void {
    this.#skip(gap);
  }

  repaint(repaint: Omit<SessionRepaintEvent, "type" | "host">): void {
    // Nothing came since the last one: this shows all that it did.
    if (this.#queue.last?.type === "repaint") this.#queue.dropLast(1);
    this.#queue.push({ type: "repaint", host: this.#host, ...repaint });
  }

  /** The consumer is done with it. */
  handled(event: SessionOutputEvent | SessionGapEvent): void {
    if (event.type === "gap") this.#cursor?.handledTo(event.to, 0);
    else this.#cursor?.handledTo(event.offset + event.bytes.byteLength, event.bytes.byteLength);
  }

  #skip({ from, to, reason }: SessionGap): void {
    this.#cursor?.skipTo(to);
    const last = this.#queue.last;
    // Fallen behind again before the last repaint was looked at: one gap, and the repaint that comes.
    if (reason === "lagging" && last?.type === "repaint" && last.offset === from) this.#queue.dropLast(1);
    const before = this.#queue.last;
    if (before?.type === "gap" && before.to === from && before.reason === reason) {
      this.#queue.dropLast(1);
      this.#queue.push({ ...before, to });
    } else {
      this.#queue.push({ type: "gap", host: this.#host, from, to, reason });
    }
  }
}
