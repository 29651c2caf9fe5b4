/**
 * Where a receive stands in one stream of one host: offsets that only move forward.
 *
 *     acknowledged ≤ handled ≤ arrived
 *
 * `arrived` is where a new connection goes on, `handled` is what the consumer is done with. Between the two are bytes
 * on their way to the consumer, and gaps, which take no room: credit is what of the window those bytes leave free.
 */
import type { IncomingStream } from "@outpost/protocol";

export class Cursor {
  #arrived: number;
  #handled: number;
  /** How many bytes have arrived and are not handled. */
  #waitingBytes = 0;
  readonly #windowBytes: number;
  #incoming: IncomingStream | undefined;
  #granted = 0;

  constructor(offset: number, windowBytes: number) {
    this.#arrived = offset;
    this.#handled = offset;
    this.#windowBytes = windowBytes;
  }

  get arrived(): number {
    return this.#arrived;
  }

  get handled(): number {
    return this.#handled;
  }

  /** A (new) connection's stream goes on here. What is on its way to the consumer still counts against the window. */
  attach(incoming: IncomingStream): void {
    this.#incoming = incoming;
    this.#granted = incoming.offset;
    this.#grant();
  }

  /** `count` bytes came. */
  came(count: number): void {
    this.#arrived += count;
    this.#waitingBytes += count;
  }

  /** The sender leaves out the bytes up to `offset`. */
  skipTo(offset: number): void {
    this.#arrived = Math.max(this.#arrived, offset);
    this.#incoming?.skipTo(offset);
    this.#grant();
  }

  /** The consumer is done with everything below `offset`, of which `count` bytes had come and not been handled yet. */
  handledTo(offset: number, count: number): void {
    this.#handled = Math.max(this.#handled, offset);
    this.#waitingBytes = Math.max(0, this.#waitingBytes - count);
    this.#grant();
  }

  /** In steps of a quarter of the window: a credit for every chunk would be a message for every chunk. */
  #grant(): void {
    const upTo = this.#arrived + this.#windowBytes - this.#waitingBytes;
    if (upTo - this.#granted < this.#windowBytes / 4) return;
    this.#granted = upTo;
    this.#incoming?.grant(upTo);
  }
}
