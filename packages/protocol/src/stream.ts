/**
 * One direction of bytes on a connection, with credit.
 *
 * The sender numbers the stream and announces it in a message of its own (`StreamOpened`, `JobInputParams`, …) that
 * also fixes the first offset. From then on the receiver's credit, an absolute offset, says how far may be sent.
 *
 *     OutgoingStream   open ──▶ ended           end(): after the last chunk
 *                        └────▶ ended (error)   end(error), or the connection closed
 *     IncomingStream   open ──▶ ended           the other side's end
 *                        ├────▶ ended (error)   the same with an error, or the connection closed
 *                        └────▶ ignored         ignore(): what still comes is dropped
 */
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxChunkBytes } from "./limits.ts";

/** What a stream needs of its connection. */
export interface StreamLink {
  /** @param size how many bytes of the stream a packed chunk holds; absent when it is not packed */
  sendChunk(stream: number, offset: number, bytes: Uint8Array, size?: number): void;
  sendCredit(stream: number, upTo: number): void;
  sendEnd(stream: number, error: OutpostError | undefined): void;
  /** Resolves when the socket has room for a chunk; rejects when the connection closes or the signal aborts. */
  writable(signal?: AbortSignal): Promise<void>;
}

/** Receives what happens to an `IncomingStream`. Called synchronously, in order, `end` exactly once and last. */
export interface StreamReceiver {
  /** @param size how many bytes `bytes` unpack to; absent when they are not packed, as always unless the reader accepts that */
  chunk(offset: number, bytes: Uint8Array, size?: number): void;
  end(error: OutpostError | undefined): void;
}

export class OutgoingStream {
  readonly number: number;
  readonly #link: StreamLink;
  #offset = 0;
  #credit = 0;
  #ended: OutpostError | true | undefined;
  readonly #waiting = new Set<() => void>();
  #onCredit: ((upTo: number) => void) | undefined;

  constructor(number: number, link: StreamLink) {
    this.number = number;
    this.#link = link;
  }

  /** Fixes where the stream begins and how far the receiver's window reaches at first. Call it once, before `send`. */
  begin(offset: number, windowBytes: number): void {
    this.#offset = offset;
    this.#credited(offset + windowBytes);
  }

  /** The offset of the next byte. */
  get offset(): number {
    return this.#offset;
  }

  /** How many bytes may be sent now. */
  get sendable(): number {
    return Math.max(0, this.#credit - this.#offset);
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Calls back at each credit from the receiver; for relays, which pass credit on instead of waiting for it. */
  onCredit(listener: (upTo: number) => void): void {
    this.#onCredit = listener;
  }

  /**
   * Waits until something may be sent, and returns how many bytes: at most `maxChunkBytes`, so that streams take turns.
   * @throws OutpostError when the stream has ended or the connection closed; the signal's reason when it aborts
   */
  async ready(signal?: AbortSignal): Promise<number> {
    for (;;) {
      signal?.throwIfAborted();
      this.#throwIfEnded();
      if (this.sendable === 0) {
        await this.#woken(signal);
        continue;
      }
      await this.#link.writable(signal);
      this.#throwIfEnded();
      // `skipTo` may have used the credit up meanwhile.
      if (this.sendable > 0) return Math.min(this.sendable, maxChunkBytes);
    }
  }

  /**
   * Sends bytes at the current offset, in as many chunks as they need.
   * @throws OutpostError `internal` when they exceed the credit: a sender MUST ask first
   */
  send(bytes: Uint8Array): void {
    this.#throwIfEnded();
    if (bytes.byteLength > this.sendable) {
      throw new OutpostError(ErrorCode.internal, `stream ${String(this.number)}: sending beyond the credit`);
    }
    for (let at = 0; at < bytes.byteLength; at += maxChunkBytes) {
      const piece = bytes.subarray(at, at + maxChunkBytes);
      this.#link.sendChunk(this.number, this.#offset, piece);
      this.#offset += piece.byteLength;
    }
  }

  /**
   * Sends one chunk that was packed already. The receiver MUST have asked for that.
   * @param size how many bytes of the stream it holds; at most `maxChunkBytes`
   * @throws OutpostError `internal` when they exceed the credit
   */
  sendPacked(packed: Uint8Array, size: number): void {
    this.#throwIfEnded();
    if (size > this.sendable) {
      throw new OutpostError(ErrorCode.internal, `stream ${String(this.number)}: sending beyond the credit`);
    }
    this.#link.sendChunk(this.number, this.#offset, packed, size);
    this.#offset += size;
  }

  /** Leaves out the bytes up to `offset`. The gap MUST have been announced before. */
  skipTo(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  /** Ends the stream, with an error if it did not end as it should. Ending twice does nothing. */
  end(error?: OutpostError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error ?? true;
    this.#link.sendEnd(this.number, error);
    this.#wakeAll();
  }

  /** The connection is gone. For the `Peer`. */
  disconnected(error: OutpostError): void {
    this.#ended ??= error;
    this.#wakeAll();
  }

  /** The receiver's credit. For the `Peer`. Credit never shrinks; a lower one is ignored. */
  credited(upTo: number): void {
    if (this.#ended !== undefined || upTo <= this.#credit) return;
    this.#credited(upTo);
  }

  #credited(upTo: number): void {
    this.#credit = upTo;
    this.#wakeAll();
    this.#onCredit?.(upTo);
  }

  #throwIfEnded(): void {
    if (this.#ended instanceof OutpostError) throw this.#ended;
    if (this.#ended === true) throw new OutpostError(ErrorCode.internal, "the stream has ended");
  }

  #woken(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal?.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      signal?.addEventListener("abort", done);
      this.#waiting.add(done);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** How a stream begins, as its sender announced it and its receiver asked for it. */
export interface IncomingStart {
  /** The offset of the first byte. */
  readonly offset: number;
  /** How many bytes beyond it the sender may send at once. */
  readonly window: number;
  /** The receiver asked for packed chunks. Default false: one that comes all the same is a `protocol_error`. */
  readonly packed?: boolean;
}

export class IncomingStream {
  readonly number: number;
  readonly #link: StreamLink;
  readonly #receiver: StreamReceiver;
  readonly #acceptsPacked: boolean;
  #offset: number;
  #credit: number;
  #state: "open" | "ended" | "ignored" = "open";

  constructor(number: number, link: StreamLink, start: IncomingStart, receiver: StreamReceiver) {
    this.number = number;
    this.#link = link;
    this.#offset = start.offset;
    this.#credit = start.offset + start.window;
    this.#receiver = receiver;
    this.#acceptsPacked = start.packed === true;
  }

  /** The offset of the next byte to come. */
  get offset(): number {
    return this.#offset;
  }

  /** Lets the sender send bytes below `upTo`. Credit never shrinks; a lower one does nothing. */
  grant(upTo: number): void {
    if (this.#state !== "open" || upTo <= this.#credit) return;
    this.#credit = upTo;
    this.#link.sendCredit(this.number, upTo);
  }

  /** An announced gap: the next chunk comes at `offset`. MUST be called in the listener of the gap's event, and `grant`
   * after it: the sender's credit, an absolute offset, may lie inside the gap, and then it waits for more. Not done
   * here, because a relay may only pass on what its own reader has granted. */
  skipTo(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
    this.#credit = Math.max(this.#credit, this.#offset);
  }

  /** The receiver wants no more; what is still on its way is dropped. Tell the sender by cancelling the request. */
  ignore(): void {
    if (this.#state === "open") this.#state = "ignored";
  }

  /** For the `Peer`. @throws OutpostError `protocol_error` at the wrong offset or beyond the credit */
  arrived(offset: number, bytes: Uint8Array, size?: number): void {
    if (this.#state === "ignored") return;
    if (this.#state === "ended")
      throw new OutpostError(ErrorCode.protocolError, "a chunk came after the end of its stream");
    if (offset !== this.#offset) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `stream ${String(this.number)}: a chunk at offset ${String(offset)}, where ${String(this.#offset)} was due`,
      );
    }
    if (size !== undefined && !this.#acceptsPacked) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `stream ${String(this.number)}: a packed chunk, which was not asked for`,
      );
    }
    const end = offset + (size ?? bytes.byteLength);
    if (end > this.#credit) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `stream ${String(this.number)}: sent beyond the credit`,
      );
    }
    this.#offset = end;
    this.#receiver.chunk(offset, bytes, size);
  }

  /** For the `Peer`: the other side's end, or the connection's. */
  finished(error: OutpostError | undefined): void {
    const wasOpen = this.#state === "open";
    this.#state = "ended";
    if (wasOpen) this.#receiver.end(error);
  }
}
