/**
 * Which bytes of a session's output somebody has seen: a set of offsets, held as ranges that neither overlap nor touch,
 * in order. A terminal that shows everything keeps it at one range; each repaint that skips something adds one.
 */

/** Bytes `from` (inclusive) to `to` (exclusive). */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export class SeenRanges {
  #ranges: Range[];

  /** @param ranges as `toJSON` gave them; in any order, and they may overlap */
  constructor(ranges: readonly Range[] = []) {
    this.#ranges = [];
    for (const { from, to } of ranges) this.add(from, to);
  }

  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** Adds bytes `from` to `to`. An empty range adds nothing. */
  add(from: number, to: number): void {
    if (to <= from) return;
    const before = this.#ranges.filter((range) => range.to < from);
    const after = this.#ranges.filter((range) => range.from > to);
    const merged = this.#ranges.slice(before.length, this.#ranges.length - after.length);
    const first = merged[0]?.from ?? from;
    const last = merged.at(-1)?.to ?? to;
    this.#ranges = [...before, { from: Math.min(from, first), to: Math.max(to, last) }, ...after];
  }

  /** The first offset at or after `offset` that was not seen. */
  firstUnseen(offset: number): number {
    return this.#at(offset)?.to ?? offset;
  }

  /** The first offset at or after `offset` that was seen; `Infinity` when there is none. */
  firstSeen(offset: number): number {
    if (this.#at(offset) !== undefined) return offset;
    return this.#ranges.find((range) => range.from > offset)?.from ?? Infinity;
  }

  /** How many of the bytes `from` to `to` were seen. */
  count(from: number, to: number): number {
    let sum = 0;
    for (const range of this.#ranges) sum += Math.max(0, Math.min(to, range.to) - Math.max(from, range.from));
    return sum;
  }

  toJSON(): readonly Range[] {
    return this.#ranges;
  }

  #at(offset: number): Range | undefined {
    return this.#ranges.find((range) => range.from <= offset && offset < range.to);
  }
}
