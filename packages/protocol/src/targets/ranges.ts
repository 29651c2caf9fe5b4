/**
 * What stands between brackets: `1-10,20`, `001-100`, `0-10/2`. It can tell whether a number belongs to it without writing out
 * what does.
 *
 * As ClusterShell reads it: a range whose bounds have leading zeros is padded to their length, which must be the same; padded
 * and other numbers may stand beside each other (`1-10,01`), and are different numbers.
 */
import { exactDigits, isPadded } from "./number-text.ts";

interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  /** To so many digits; 0: numbers without leading zeros. */
  readonly padding: number;
}

/** Why brackets cannot be read, and where between them, from 0. */
export class BadRanges extends Error {
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(what);
    this.offset = offset;
  }
}

export class Ranges {
  /** As it is written, without blanks. */
  readonly text: string;
  /** How many numbers; what is in two of its ranges counts twice. */
  readonly count: number;
  readonly #ranges: readonly Range[];
  /** Single numbers, as they are written. */
  readonly #singles: ReadonlySet<string>;
  /** By padding: ranges without steps, in order and apart from each other. */
  readonly #runs: ReadonlyMap<number, readonly Range[]>;
  readonly #stepped: readonly Range[];

  /** @throws BadRanges */
  constructor(text: string) {
    this.text = text.replaceAll(/\s/g, "");
    const ranges: Range[] = [];
    const singles = new Set<string>();
    for (const { part, offset } of partsOf(text)) {
      if (/^\d+$/.test(part)) singles.add(part);
      else ranges.push(readRange(part, offset));
    }
    this.#ranges = ranges;
    this.#singles = singles;
    this.#runs = runsOf(ranges.filter(({ step }) => step === 1));
    this.#stepped = ranges.filter(({ step }) => step > 1);
    this.count = singles.size + ranges.reduce((sum, range) => sum + sizeOf(range), 0);
  }

  has(number: string): boolean {
    if (this.#singles.has(number)) return true;
    if (number.length > exactDigits) return false;
    const value = Number(number);
    const isIn = (padding: number): boolean =>
      isInRuns(this.#runs.get(padding) ?? [], value) ||
      this.#stepped.some((range) => range.padding === padding && isInRange(range, value));
    return isIn(number.length) || (!isPadded(number) && isIn(0));
  }

  /** As they are written; what is in two of its ranges comes twice. */
  *numbers(): Generator<string> {
    yield* this.#singles;
    for (const { start, end, step, padding } of this.#ranges) {
      for (let value = start; value <= end; value += step) yield String(value).padStart(padding, "0");
    }
  }
}

function partsOf(text: string): { part: string; offset: number }[] {
  let offset = 0;
  return text.split(",").map((given) => {
    const part = given.trim();
    const at = offset + (part === "" ? 0 : given.indexOf(part));
    offset += given.length + 1;
    if (part === "") throw new BadRanges("a number is missing between the brackets", at);
    // First to one blank: looking for many in front of a sign takes steps by the square of their number.
    return { part: part.replaceAll(/\s+/g, " ").replaceAll(/ ?([-/]) ?/g, "$1"), offset: at };
  });
}

function readRange(text: string, offset: number): Range {
  const [, first, last, stepText = "1"] = /^(\d+)-(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (first === undefined || last === undefined) {
    throw new BadRanges(`"${text}" is no number and no range (1, 1-10, 001-100, 0-10/2)`, offset);
  }
  if (first.length > exactDigits || last.length > exactDigits || stepText.length > exactDigits) {
    throw new BadRanges(`the numbers of a range may have ${String(exactDigits)} digits`, offset);
  }
  const padding = isPadded(first) || isPadded(last) ? first.length : 0;
  if (padding > 0 && first.length !== last.length) {
    throw new BadRanges(`${first} and ${last} are padded with zeros, and not to the same length`, offset);
  }
  const [start, end, step] = [Number(first), Number(last), Number(stepText)];
  if (start > end) throw new BadRanges(`the range ${first}-${last} runs backwards`, offset);
  if (step === 0) throw new BadRanges("the step of a range is at least 1", offset);
  return { start, end, step, padding };
}

function sizeOf({ start, end, step }: Range): number {
  return Math.floor((end - start) / step) + 1;
}

function isInRange({ start, end, step }: Range, value: number): boolean {
  return value >= start && value <= end && (value - start) % step === 0;
}

function runsOf(ranges: readonly Range[]): Map<number, Range[]> {
  const runs = new Map<number, Range[]>();
  for (const range of ranges.toSorted((left, right) => left.start - right.start)) {
    const there = runs.get(range.padding) ?? [];
    runs.set(range.padding, there);
    const last = there.at(-1);
    if (last === undefined || range.start > last.end + 1) there.push(range);
    else if (range.end > last.end) there[there.length - 1] = { ...last, end: range.end };
  }
  return runs;
}

function isInRuns(runs: readonly Range[], value: number): boolean {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (runs[middle]!.end < value) low = middle + 1;
    else high = middle;
  }
  const run = runs[low];
  return run !== undefined && value >= run.start;
}
