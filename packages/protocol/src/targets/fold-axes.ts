/**
 * Folding of names with several numbers: `a1-b1,a1-b2,a2-b1,a2-b2` → `a[1-2]-b[1-2]`.
 *
 * A block is a set of numbers for each axis, and stands for every combination of them. We begin with one block a name and merge
 * two that differ in one axis only, in ClusterShell's order, so that what comes out is the same:
 *
 *     sort    larger blocks first, then by their axes
 *     easy    each block with the one behind it, as long as they merge
 *     sort    … until an easy pass changes nothing; from then on:
 *     full    each block with every later one with which it merges
 *
 * ClusterShell compares every pair. Here a block finds those that it can merge with by hash: it has one key for each axis,
 * of everything but that axis, and blocks merge when they share one. So a pass takes n · log n steps, also when nothing folds.
 */
import { compareNumbers } from "./number-text.ts";

/** The numbers of one axis of a block. Equal sets have equal hashes, and a union's hash comes from its parts'. */
interface NumberSet {
  readonly count: number;
  /** Two words, 32 bits each: the members' words, exclusive-or. */
  readonly low: number;
  readonly high: number;
  /** The least and the greatest. */
  readonly first: string;
  readonly last: string;
  /** One number, or the two sets that it was made from. */
  readonly of: string | readonly [NumberSet, NumberSet];
}

interface Block {
  readonly axes: readonly NumberSet[];
  readonly size: number;
  /** Of everything: exclusive-or of what each axis contributes. */
  readonly low: number;
  readonly high: number;
}

/** Each merges something, but for two. More are for sets that were made to need them; these stay less folded. */
const maxPasses = 64;

/** @param members the numbers of each name, all names with equally many; each once @returns blocks, in ClusterShell's order */
export function foldAxes(members: readonly (readonly string[])[]): string[][][] {
  const single = singles();
  let blocks = members.map((numbers) => blockOf(numbers.map(single)));
  let isFull = false;
  for (let pass = 0; pass < maxPasses && blocks.length > 1; pass++) {
    blocks.sort(compareBlocks);
    const merged = isFull ? fullPass(blocks) : easyPass(blocks);
    const isChanged = merged.length < blocks.length;
    blocks = merged;
    if (isChanged) continue;
    if (isFull) break;
    isFull = true;
  }
  const folded = blocks.map((block) => block.axes.map(numbersOf));
  return isWhole(folded, members) ? folded : members.map((numbers) => numbers.map((number) => [number]));
}

/** Sets of one number, each made once. Their words are random: nobody can choose names whose sets collide. */
function singles(): (number: string) => NumberSet {
  const known = new Map<string, NumberSet>();
  return (number) => {
    const found = known.get(number);
    if (found !== undefined) return found;
    const made = { count: 1, low: randomWord(), high: randomWord(), first: number, last: number, of: number };
    known.set(number, made);
    return made;
  };
}

function randomWord(): number {
  return Math.trunc(Math.random() * 2 ** 32) | 0;
}

function blockOf(axes: readonly NumberSet[]): Block {
  let [size, low, high] = [1, 0, 0];
  for (const [axis, set] of axes.entries()) {
    size *= set.count;
    low ^= mixed(set.low, axis);
    high ^= mixed(set.high, axis);
  }
  return { axes, size, low, high };
}

/** The same numbers in another axis are something else. */
function mixed(word: number, axis: number): number {
  const turned = Math.imul(word ^ (axis * 0x9e3779b1), 0x85ebca6b);
  return Math.imul(turned ^ (turned >>> 15), 0xc2b2ae35);
}

/** Of everything but this axis, as an exact number. */
function keyWithout({ axes, low, high }: Block, axis: number): number {
  const set = axes[axis]!;
  const left = (low ^ mixed(set.low, axis)) >>> 0;
  const right = (high ^ mixed(set.high, axis)) >>> 0;
  return left * 2 ** 21 + (right >>> 11);
}

function isSame(left: NumberSet, right: NumberSet): boolean {
  return (
    left === right ||
    (left.low === right.low &&
      left.high === right.high &&
      left.count === right.count &&
      left.first === right.first &&
      left.last === right.last)
  );
}

/** The axis in which they differ; `undefined` when it is more than one. (They share no name, so that it is never none.) */
function onlyDifference(left: Block, right: Block): number | undefined {
  let found: number | undefined;
  for (const [axis, set] of left.axes.entries()) {
    if (isSame(set, right.axes[axis]!)) continue;
    if (found !== undefined) return undefined;
    found = axis;
  }
  return found;
}

/** Of two blocks that differ in this axis only. They share no name, and so no number of this axis. */
function merge(left: Block, right: Block, axis: number): Block {
  const [one, other] = [left.axes[axis]!, right.axes[axis]!];
  const union: NumberSet = {
    count: one.count + other.count,
    low: one.low ^ other.low,
    high: one.high ^ other.high,
    first: compareNumbers(one.first, other.first) <= 0 ? one.first : other.first,
    last: compareNumbers(one.last, other.last) >= 0 ? one.last : other.last,
    of: [one, other],
  };
  return blockOf(left.axes.with(axis, union));
}

function compareBlocks(left: Block, right: Block): number {
  if (left.size !== right.size) return right.size - left.size;
  for (const [axis, one] of left.axes.entries()) {
    const other = right.axes[axis]!;
    if (one.count !== other.count) return other.count - one.count;
    // By character, 10 before 9: what ClusterShell does.
    if (one.first !== other.first) return one.first < other.first ? -1 : 1;
    if (one.last !== other.last) return one.last < other.last ? -1 : 1;
  }
  return 0;
}

function easyPass(blocks: readonly Block[]): Block[] {
  const result: Block[] = [];
  for (const block of blocks) {
    const last = result.at(-1);
    const axis = last === undefined ? undefined : onlyDifference(last, block);
    if (axis === undefined) result.push(block);
    else result[result.length - 1] = merge(last!, block, axis);
  }
  return result;
}

function fullPass(blocks: readonly Block[]): Block[] {
  const index = new MergeIndex(blocks);
  const result: Block[] = [];
  for (const [position, first] of blocks.entries()) {
    if (index.isTaken(position)) continue;
    let block = first;
    let at = position;
    for (;;) {
      const next = index.nextFor(block, at);
      if (next === undefined) break;
      index.take(next.position);
      block = merge(block, blocks[next.position]!, next.axis);
      at = next.position;
    }
    result.push(block);
  }
  return result;
}

/** Which later blocks a block merges with. */
class MergeIndex {
  readonly #blocks: readonly Block[];
  /** By axis and key: positions, in order. */
  readonly #positions: readonly Map<number, number[]>[];
  readonly #taken: Uint8Array;

  constructor(blocks: readonly Block[]) {
    this.#blocks = blocks;
    this.#taken = new Uint8Array(blocks.length);
    this.#positions = blocks[0]!.axes.map((_, axis) => {
      const positions = new Map<number, number[]>();
      for (const [position, block] of blocks.entries()) {
        const key = keyWithout(block, axis);
        const there = positions.get(key);
        if (there === undefined) positions.set(key, [position]);
        else there.push(position);
      }
      return positions;
    });
  }

  isTaken(position: number): boolean {
    return this.#taken[position] === 1;
  }

  take(position: number): void {
    this.#taken[position] = 1;
  }

  /** The first one behind `after` that is not taken and differs from the block in one axis. */
  nextFor(block: Block, after: number): { readonly position: number; readonly axis: number } | undefined {
    let found: { position: number; axis: number } | undefined;
    for (const axis of block.axes.keys()) {
      const positions = this.#positions[axis]!.get(keyWithout(block, axis));
      const position = positions === undefined ? undefined : this.#firstAfter(positions, after);
      if (position === undefined || (found !== undefined && found.position <= position)) continue;
      if (onlyDifference(block, this.#blocks[position]!) === axis) found = { position, axis };
    }
    return found;
  }

  /** What is taken is passed over once, and is gone. */
  #firstAfter(positions: number[], after: number): number | undefined {
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (positions[middle]! <= after) low = middle + 1;
      else high = middle;
    }
    let next = low;
    while (next < positions.length && this.isTaken(positions[next]!)) next++;
    if (next > low) positions.splice(low, next - low);
    return positions[low];
  }
}

/** Without recursion: a set of thousands was made by adding one after the other. */
function numbersOf(set: NumberSet): string[] {
  const numbers: string[] = [];
  const open = [set];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.of === "string") numbers.push(next.of);
    else open.push(...next.of);
  }
  return numbers;
}

/** Whether these blocks are these names exactly. Hashes of 64 bits might lie; a wrong list of hosts must not come of it. */
function isWhole(blocks: readonly string[][][], members: readonly (readonly string[])[]): boolean {
  const size = blocks.reduce(
    (sum, block) => sum + block.reduce((product, axis) => product * axis.length, 1),
    0,
  );
  if (size !== members.length) return false;
  const known = new Set(members.map((numbers) => numbers.join(" ")));
  return blocks.every((block) => {
    let heads = [""];
    for (const axis of block) {
      heads = heads.flatMap((head) => axis.map((number) => (head === "" ? number : `${head} ${number}`)));
    }
    return heads.every((name) => known.has(name));
  });
}
