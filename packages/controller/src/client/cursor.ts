/**
 * Where a receive stands in one stream of one host: three offsets that only move forward.
 *
 *     acknowledged ≤ handled ≤ arrived ≤ handled + window
 *
 * `arrived` is where a new connection goes on, `handled` is what the consumer is done with, and credit follows it.
 */
import type { IncomingStream } from "@outpost/protocol";

export class Cursor {
  #arrived: number;
  #handled: number;
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

  /** Bytes came up to `offset`. */
  moveTo(offset: number): void {
    this.#arrived = Math.max(this.#arrived, offset);
  }

  /** The sender leaves out bytes: the consumer has none to handle. */
  skipTo(offset: number): void {
    this.moveTo(offset);
    this.#incoming?.skipTo(offset);
    this.#grant();
  }

  /** The consumer is done with the bytes below `offset`. */
  handledTo(offset: number): void {
    this.#handled = Math.max(this.#handled, offset);
    this.#grant();
  }

  /** In steps of a quarter of the window: a credit for every chunk would be a message for every chunk. */
  #grant(): void {
    const upTo = Math.max(this.#handled, this.#skippedTo()) + this.#windowBytes;
    if (upTo - this.#granted < this.#windowBytes / 4) return;
    this.#granted = upTo;
    this.#incoming?.grant(upTo);
  }

  /** A gap right behind what is handled takes no room. */
  #skippedTo(): number {
    return this.#incoming !== undefined && this.#handled >= this.#arrived ? this.#arrived : this.#handled;
  }
}
