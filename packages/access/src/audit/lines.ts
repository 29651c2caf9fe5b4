/**
 * The lines of a file, from either end, with bounded memory. A file is read as far as it went when it was opened, as
 * another process may be writing; what stands after its last newline is no line yet.
 *
 * Reads are synchronous: a block from the page cache takes 50 µs, what is then done with its lines takes milliseconds.
 * Whoever reads much lets others run between two blocks.
 */
import { readSync } from "node:fs";
import { maxLineBytes } from "./audit-line.ts";

/** How much is read at once, in bytes. Tests read less, so that lines go over blocks in every way. */
const defaultBlockBytes = 256 * 1024;
const newline = 10;

/** Without its newline; `undefined` when it is longer than any line of ours. */
export type Line = Buffer | undefined;

/** Where the last line ends that is complete, in bytes from the beginning. */
export function endOfLines(file: number, size: number, blockBytes = defaultBlockBytes): number {
  for (let end = size; end > 0; end = Math.max(0, end - blockBytes)) {
    const start = Math.max(0, end - blockBytes);
    const found = readBlock(file, start, end).lastIndexOf(newline);
    if (found >= 0) return start + found + 1;
  }
  return 0;
}

/** All lines, block by block. @param end from `endOfLines` */
export function* linesOf(file: number, end: number, blockBytes = defaultBlockBytes): Generator<Line[]> {
  let begun = new PartOfLine();
  for (let start = 0; start < end; start += blockBytes) {
    const block = readBlock(file, start, Math.min(end, start + blockBytes));
    const lines: Line[] = [];
    let at = 0;
    for (let to = block.indexOf(newline); to >= 0; to = block.indexOf(newline, at)) {
      lines.push(begun.with(block.subarray(at, to), "after"));
      begun = new PartOfLine();
      at = to + 1;
    }
    begun.add(block.subarray(at), "after");
    yield lines;
  }
}

/** All lines from the last one back, block by block. @param end from `endOfLines` */
export function* linesBackwards(
  file: number,
  end: number,
  blockBytes = defaultBlockBytes,
): Generator<Line[]> {
  if (end === 0) return;
  let begun = new PartOfLine();
  // The last newline ends the last line, and begins none.
  for (let to = end - 1; to > 0; to = Math.max(0, to - blockBytes)) {
    const start = Math.max(0, to - blockBytes);
    const block = readBlock(file, start, to);
    const lines: Line[] = [];
    let last = block.length;
    while (last > 0) {
      const at = block.lastIndexOf(newline, last - 1);
      if (at < 0) break;
      lines.push(begun.with(block.subarray(at + 1, last), "before"));
      begun = new PartOfLine();
      last = at;
    }
    begun.add(block.subarray(0, last), "before");
    yield lines;
  }
  yield [begun.with(Buffer.alloc(0), "before")];
}

/** A line that goes over blocks. */
class PartOfLine {
  #pieces: Buffer[] = [];
  #bytes = 0;

  add(piece: Buffer, side: "before" | "after"): void {
    this.#bytes += piece.length;
    if (this.#bytes > maxLineBytes) this.#pieces = [];
    else if (side === "after") this.#pieces.push(piece);
    else this.#pieces.unshift(piece);
  }

  /** The whole line, with its last piece. */
  with(piece: Buffer, side: "before" | "after"): Line {
    if (this.#bytes === 0) return piece.length > maxLineBytes ? undefined : piece;
    this.add(piece, side);
    return this.#bytes > maxLineBytes ? undefined : Buffer.concat(this.#pieces);
  }
}

function readBlock(file: number, start: number, end: number): Buffer {
  const block = Buffer.allocUnsafe(end - start);
  let length = 0;
  while (length < block.length) {
    const bytesRead = readSync(file, block, length, block.length - length, start + length);
    // Cut off while we read: what is gone has no lines.
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return block.subarray(0, length);
}
