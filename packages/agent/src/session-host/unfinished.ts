/**
 * What a terminal has been sent of a character or escape sequence whose end has not come yet. A repaint ends with it, so
 * that a terminal that was repainted in the middle of one understands the rest, and a repaint can be made at any byte.
 */
import { esc, Sequences } from "./shell/sequences.ts";

/** An OSC or DCS may be long; of a longer one the rest is not understood after a repaint, which shows as stray text. */
const maxBytes = 64 * 1024;

export class Unfinished {
  #bytes: Uint8Array = new Uint8Array();

  /** @param atRest whether nothing is unfinished after `bytes` */
  push(bytes: Uint8Array, atRest: boolean): void {
    if (atRest) {
      if (this.#bytes.byteLength > 0) this.#bytes = new Uint8Array();
      return;
    }
    // An ESC begins a new sequence; only one that ends a string belongs to what is before it, and alone does nothing.
    const begin = bytes.lastIndexOf(esc);
    const candidate = begin >= 0 ? bytes.subarray(begin) : Buffer.concat([this.#bytes, bytes]);
    const rest = candidate.subarray(lastRest(candidate));
    this.#bytes = rest.byteLength > maxBytes ? new Uint8Array() : Uint8Array.from(rest);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }
}

/** Behind the last character or sequence that is whole. */
function lastRest(bytes: Uint8Array): number {
  const sequences = new Sequences();
  let rest = 0;
  for (const [at, byte] of bytes.entries()) {
    sequences.accept(byte);
    if (sequences.atRest) rest = at + 1;
  }
  return rest;
}
