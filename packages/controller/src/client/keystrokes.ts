/**
 * Keystrokes on their way to a session: a stream numbered from 0 for each viewer. What the host has not taken is kept, so
 * that a new connection goes on where the host is, and nothing is lost or typed twice.
 *
 *     taken ≤ sent ≤ written          kept: from taken to written
 */
import { ErrorCode, limits, OutpostError, type OutgoingStream } from "@outpost/protocol";

/** How much is kept, in bytes. Room for a paste of ten thousand lines; beyond it `write` waits. */
const maxKeptBytes = 1024 * 1024;

export class Keystrokes {
  #kept: Uint8Array[] = [];
  #taken = 0;
  #written = 0;
  readonly #maxBytes: number;
  readonly #waiting = new Set<() => void>();

  /** @param maxBytes how much is kept before `write` waits. Default 1 MiB */
  constructor(maxBytes = maxKeptBytes) {
    this.#maxBytes = maxBytes;
  }

  /** How many bytes were written that the host has not taken. */
  get keptBytes(): number {
    return this.#written - this.#taken;
  }

  /**
   * Resolves when the bytes are kept: at once, unless more than the limit is. Writes keep their order, if each is awaited.
   * @throws the signal's reason
   */
  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      signal.throwIfAborted();
      const room = this.#maxBytes - this.keptBytes;
      if (room <= 0) {
        await this.#changed(signal);
        continue;
      }
      // A copy: whoever wrote may use its memory again.
      const piece = bytes.slice(at, at + room);
      this.#kept.push(piece);
      this.#written += piece.byteLength;
      at += piece.byteLength;
      this.#wakeAll();
    }
  }

  /**
   * The host has everything below `offset`.
   * @throws OutpostError `protocol_error` when it asks for what it has said before that it has, or for what nobody typed
   */
  resume(offset: number): void {
    if (offset < this.#taken || offset > this.#written) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `the host asks for keystrokes from ${String(offset)}, where ${String(this.#taken)} to ${String(this.#written)} are there`,
      );
    }
    this.taken(offset);
  }

  /** The host has taken everything below `offset`; a lower one than before does nothing. */
  taken(offset: number): void {
    const end = Math.min(offset, this.#written);
    while (this.#taken < end) {
      const first = this.#kept[0]!;
      const count = Math.min(first.byteLength, end - this.#taken);
      this.#taken += count;
      if (count === first.byteLength) this.#kept.shift();
      else this.#kept[0] = first.subarray(count);
    }
    this.#wakeAll();
  }

  /** Sends what is there and what is written from now on, as far as the host grants; one connection's worth.
   * @throws the signal's reason, or the stream's end */
  async sendOn(stream: OutgoingStream, signal: AbortSignal): Promise<never> {
    for (;;) {
      if (stream.offset >= this.#written) {
        await this.#changed(signal);
        continue;
      }
      const room = await stream.ready(signal);
      stream.send(this.#piece(stream.offset, room));
    }
  }

  /** Resolves when the host has taken everything that was written. @throws the signal's reason */
  async allTaken(signal: AbortSignal): Promise<void> {
    while (this.keptBytes > 0) await this.#changed(signal);
  }

  /** Kept bytes from `offset` on, at most `room` of them; what was typed in many small pieces goes out as one. */
  #piece(offset: number, room: number): Uint8Array {
    const wanted = Math.min(room, limits.maxChunkBytes, this.#written - offset);
    const pieces: Uint8Array[] = [];
    let at = this.#taken;
    for (const piece of this.#kept) {
      const end = at + piece.byteLength;
      if (end > offset) pieces.push(piece.subarray(Math.max(0, offset - at), offset + wanted - at));
      at = end;
      if (at >= offset + wanted) break;
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  #changed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(done);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.delete(done);
        reject(OutpostError.from(signal.reason, ErrorCode.cancelled));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(done);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}
