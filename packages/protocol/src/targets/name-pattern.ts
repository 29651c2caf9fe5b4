/**
 * A pattern of host names: text, `*` (any characters), `?` (exactly one), and ranges in brackets. It means the names that come
 * of writing a number of each bracket in its place, also where digits stand beside it: `a1[0-2]` is a10, a11 and a12.
 */
import { fits } from "./glob.ts";
import { BadRanges, Ranges } from "./ranges.ts";

/** A name has 63 characters at most, and every part of a pattern but `*` takes one. */
const maxPieces = 2 * 63 + 1;

type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ranges"; readonly ranges: Ranges }
  | { readonly kind: "any" }
  | { readonly kind: "one" };

export class NamePattern {
  /** As it is written, without the blanks between its brackets. */
  readonly text: string;
  /** One name; several names, each of which must be there; or whatever fits. */
  readonly kind: "name" | "names" | "glob";
  /** How many names it is written out; of a glob: how many globs. What it means twice counts twice. */
  readonly count: number;
  readonly #pieces: readonly Piece[];
  readonly #hasRanges: boolean;

  /** @param given well-formed but for what is between its brackets @throws BadRanges with the offset in `given` */
  constructor(given: string) {
    this.#pieces = [...piecesOf(given)];
    if (this.#pieces.length > maxPieces) {
      throw new BadRanges("the pattern has more parts than a host's name has characters", 0);
    }
    const ranges = this.#pieces.flatMap((piece) => (piece.kind === "ranges" ? [piece.ranges] : []));
    const isGlob = this.#pieces.some(({ kind }) => kind === "any" || kind === "one");
    this.#hasRanges = ranges.length > 0;
    this.text = this.#pieces.map(pieceText).join("");
    this.kind = isGlob ? "glob" : ranges.length > 0 ? "names" : "name";
    this.count = ranges.reduce((product, { count }) => product * count, 1);
  }

  /** Takes at most length of the name squared × pieces steps: all places that a piece can end at, one piece after the other. */
  matches(name: string): boolean {
    if (this.kind === "name") return this.text === name;
    if (!this.#hasRanges) return fits(this.text, name);
    const [first] = this.#pieces;
    if (first?.kind === "text" && !name.startsWith(first.text)) return false;
    let ends: ReadonlySet<number> = new Set([0]);
    for (const piece of this.#pieces) {
      ends = endsOf(piece, name, ends);
      if (ends.size === 0) return false;
    }
    return ends.has(name.length);
  }

  /** What it is written out; what it means twice comes twice. Not for a glob. */
  *names(): Generator<string> {
    yield* written(this.#pieces, 0, "");
  }

  /** Whether every host there may ever be fits. */
  get isEverything(): boolean {
    return this.#pieces.every(({ kind }) => kind === "any");
  }
}

function* piecesOf(given: string): Generator<Piece> {
  for (const { 0: part, index } of given.matchAll(/\[([^\]]*)\]|\*+|\?|[^[*?]+/g)) {
    if (part.startsWith("[")) yield { kind: "ranges", ranges: rangesAt(part.slice(1, -1), index + 1) };
    else if (part.startsWith("*")) yield { kind: "any" };
    else if (part === "?") yield { kind: "one" };
    else yield { kind: "text", text: part };
  }
}

function rangesAt(text: string, offset: number): Ranges {
  try {
    return new Ranges(text);
  } catch (error) {
    if (error instanceof BadRanges) throw new BadRanges(error.message, offset + error.offset);
    throw error;
  }
}

function pieceText(piece: Piece): string {
  switch (piece.kind) {
    case "text":
      return piece.text;
    case "ranges":
      return `[${piece.ranges.text}]`;
    case "any":
      return "*";
    case "one":
      return "?";
    default:
      return piece satisfies never;
  }
}

function endsOf(piece: Piece, name: string, starts: ReadonlySet<number>): Set<number> {
  const ends = new Set<number>();
  switch (piece.kind) {
    case "text":
      for (const start of starts) if (name.startsWith(piece.text, start)) ends.add(start + piece.text.length);
      return ends;
    case "one":
      for (const start of starts) if (start < name.length) ends.add(start + 1);
      return ends;
    case "any":
      for (let end = Math.min(...starts); end <= name.length; end++) ends.add(end);
      return ends;
    case "ranges":
      for (const start of starts) {
        for (let end = start + 1; end <= name.length && /\d/.test(name[end - 1]!); end++) {
          if (piece.ranges.has(name.slice(start, end))) ends.add(end);
        }
      }
      return ends;
    default:
      return piece satisfies never;
  }
}

function* written(pieces: readonly Piece[], at: number, head: string): Generator<string> {
  const piece = pieces[at];
  if (piece === undefined) {
    yield head;
  } else if (piece.kind === "ranges") {
    for (const number of piece.ranges.numbers()) yield* written(pieces, at + 1, head + number);
  } else {
    yield* written(pieces, at + 1, head + pieceText(piece));
  }
}
