/**
 * How answers differ from one of them, as unified diffs. What a diff costs grows with the square of the differences, so it is given
 * up where there are many; then, and of what is large or no text, only the sizes and the first line that differs are told.
 */
import type { OutputName } from "@outpost/protocol";
import { structuredPatch } from "diff";
import { bytesText } from "./bytes-text.ts";
import { type ColorChoice, hasColor, type Style, styled } from "./color.ts";
import { root } from "./grouping/content-tree.ts";
import type { Group, Grouping } from "./grouping/grouping.ts";
import { foldedNames } from "./names.ts";

/** Larger answers are not compared line by line, in bytes. */
const maxTextBytes = 256 * 1024;
/** How many lines may differ; measured: up to 13 ms. */
const maxEdits = 400;
/** When so many answers were too different, the others probably are, and less is tried: up to 3 ms. */
const maxFutile = 32;
const fewEdits = 50;
const contextLines = 3;
/** How long the names above a diff may be, in characters; the header has them all. */
const maxLabel = 70;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Comparison {
  readonly #base: Group;
  readonly #baseNames: string;
  readonly #grouping: Grouping;
  readonly #hasColor: Readonly<Record<OutputName, boolean>>;
  readonly #baseTexts: Readonly<Record<OutputName, string | undefined>>;
  #futile = 0;

  static async with(base: Group, grouping: Grouping, color: ColorChoice): Promise<Comparison> {
    return new Comparison(base, await foldedNames(base.hosts, maxLabel), grouping, color);
  }

  private constructor(base: Group, baseNames: string, grouping: Grouping, color: ColorChoice) {
    this.#base = base;
    this.#baseNames = baseNames;
    this.#grouping = grouping;
    this.#hasColor = { stdout: hasColor(color, 1), stderr: hasColor(color, 2) };
    this.#baseTexts = { stdout: this.#text(base.stdout), stderr: this.#text(base.stderr) };
  }

  /** Lines that say how a group's stream differs. */
  async text(group: Group, name: OutputName): Promise<string> {
    if (group[name] === root)
      return `nothing, where ${this.#baseNames} wrote ${this.#size(this.#base, name)}`;
    return this.#patch(group, name, await foldedNames(group.hosts, maxLabel)) ?? this.#inShort(group, name);
  }

  #patch(group: Group, name: OutputName, names: string): string | undefined {
    const before = this.#baseTexts[name];
    const after = this.#text(group[name]);
    if (before === undefined || after === undefined) return undefined;
    const patch = structuredPatch("", "", before, after, undefined, undefined, {
      context: contextLines,
      maxEditLength: this.#futile >= maxFutile ? fewEdits : maxEdits,
    });
    if (patch === undefined) {
      this.#futile++;
      return undefined;
    }
    const paint = (text: string, style: Style | undefined): string =>
      this.#hasColor[name] ? styled(text, style) : text;
    return [
      paint(`--- ${this.#baseNames}`, "bold"),
      paint(`+++ ${names}`, "bold"),
      ...patch.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
        paint(`@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`, "cyan"),
        ...lines.map((line) =>
          paint(line, line.startsWith("+") ? "green" : line.startsWith("-") ? "red" : undefined),
        ),
      ]),
    ].join("\n");
  }

  /** Undefined for what is no text, or too large to be compared. */
  #text(node: Group["stdout"]): string | undefined {
    if (this.#grouping.size(node) > maxTextBytes) return undefined;
    const pieces = [...this.#grouping.read(node)].map(({ kind, bytes }) =>
      kind === "note" ? Buffer.from(`[${bytes.toString()}]\n`) : bytes,
    );
    try {
      const text = utf8.decode(Buffer.concat(pieces));
      return text.includes("\0") ? undefined : text;
    } catch {
      return undefined;
    }
  }

  #inShort(group: Group, name: OutputName): string {
    const line = this.#firstDifference(group[name], this.#base[name]);
    const sizes = `${this.#size(group, name)} against ${this.#size(this.#base, name)}`;
    return `differs from ${this.#baseNames} from line ${String(line)} on: ${sizes}`;
  }

  #size(group: Group, name: OutputName): string {
    return bytesText(this.#grouping.size(group[name]));
  }

  /** The number of the first line that is not the same, from 1. */
  #firstDifference(left: Group["stdout"], right: Group["stdout"]): number {
    let line = 1;
    const others = new Pieces(this.#grouping, right);
    for (const { bytes } of this.#grouping.read(left)) {
      for (let at = 0; at < bytes.byteLength;) {
        const other = others.next(bytes.byteLength - at);
        const mine = bytes.subarray(at, at + other.byteLength);
        if (other.byteLength === 0) return line;
        const same = mine.equals(other) ? mine.byteLength : firstUnlike(mine, other);
        for (let end = mine.indexOf(10); end !== -1 && end < same; end = mine.indexOf(10, end + 1)) line++;
        if (same < mine.byteLength) return line;
        at += same;
      }
    }
    return line;
  }
}

/** The bytes of a content in pieces of the wanted size at most; an empty one at its end. */
class Pieces {
  readonly #blocks: Iterator<{ readonly bytes: Buffer }, void>;
  #rest = Buffer.alloc(0);

  constructor(grouping: Grouping, node: Group["stdout"]) {
    this.#blocks = grouping.read(node);
  }

  next(maxBytes: number): Buffer {
    while (this.#rest.byteLength === 0) {
      const { done, value } = this.#blocks.next();
      if (done === true) return this.#rest;
      this.#rest = Buffer.from(value.bytes);
    }
    const piece = this.#rest.subarray(0, maxBytes);
    this.#rest = this.#rest.subarray(piece.byteLength);
    return piece;
  }
}

function firstUnlike(left: Uint8Array, right: Uint8Array): number {
  let at = 0;
  while (at < left.byteLength && left[at] === right[at]) at++;
  return at;
}

/** As `diff -u` writes it: `3` for one line, `3,2` for two; none are behind the line before. */
function range(start: number, lines: number): string {
  if (lines === 0) return `${String(start - 1)},0`;
  return lines === 1 ? String(start) : `${String(start)},${String(lines)}`;
}
