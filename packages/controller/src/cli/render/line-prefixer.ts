/**
 * Puts a prefix before every line of a stream. A line is given out when it is whole, so that lines of several hosts do
 * not mix.
 */

/** A line longer than this is broken, in bytes: what is held of an unfinished line is bounded. */
export const maxHeldBytes = 64 * 1024;

const newline = 10;
const lineEnd = Buffer.of(newline);

export class LinePrefixer {
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #heldPrefix: Uint8Array | undefined;

  /** How many bytes at the stream's end are held back: they belong to a line that has not ended. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The lines that are whole now. `prefix` is that of lines that begin in `bytes`. */
  push(bytes: Uint8Array, prefix: Uint8Array): Buffer {
    const pieces: Uint8Array[] = [];
    let at = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, at)) {
      pieces.push(...this.#take(prefix), bytes.subarray(at, end + 1));
      at = end + 1;
    }
    this.#hold(bytes.subarray(at), prefix, pieces);
    return Buffer.concat(pieces);
  }

  /** The line that has not ended, with an end. Empty when there is none. */
  flush(): Buffer {
    if (this.#heldBytes === 0) return Buffer.alloc(0);
    return Buffer.concat([...this.#take(Buffer.alloc(0)), lineEnd]);
  }

  /** Prefix and beginning of the line that goes on. */
  #take(prefix: Uint8Array): Uint8Array[] {
    const taken = [this.#heldPrefix ?? prefix, ...this.#held];
    this.#held = [];
    this.#heldBytes = 0;
    this.#heldPrefix = undefined;
    return taken;
  }

  #hold(rest: Uint8Array, prefix: Uint8Array, pieces: Uint8Array[]): void {
    let left = rest;
    while (left.byteLength > 0) {
      this.#heldPrefix ??= prefix;
      const room = maxHeldBytes - this.#heldBytes;
      const piece = left.subarray(0, room);
      // A copy: the chunk that it came in may be much larger, and would be held with it.
      this.#held.push(Uint8Array.from(piece));
      this.#heldBytes += piece.byteLength;
      left = left.subarray(piece.byteLength);
      if (this.#heldBytes === maxHeldBytes && left.byteLength > 0)
        pieces.push(...this.#take(prefix), lineEnd);
    }
  }
}
