/** What a label or fact is compared with: `eu-*`, `8GiB`, `"two words"`. */
import { fits, fitsSteps } from "./glob.ts";
import { numberOf, quantityOf } from "./quantity.ts";
import { versionParts } from "./version-order.ts";

/** Any characters, and exactly one. */
const any = Symbol("*");
const one = Symbol("?");
type Character = string | typeof any | typeof one;

export class Operand {
  /** What it means when it is compared as it is. */
  readonly text: string;
  /** Whether it holds a `*` or `?` that stands for something else. */
  readonly isGlob: boolean;
  readonly #characters: readonly Character[];
  /** Whether it holds a `*` or `?` that means itself. */
  readonly #hasLiterals: boolean;
  // It is compared with every host's: read once.
  #number: { readonly value: number | undefined } | undefined;
  #quantity: { readonly value: number | undefined } | undefined;
  #version: readonly string[] | undefined;

  private constructor(characters: readonly Character[]) {
    this.#characters = characters;
    this.isGlob = characters.some((character) => typeof character === "symbol");
    this.#hasLiterals = characters.some((character) => character === "*" || character === "?");
    this.text = characters
      .map((character) => (character === any ? "*" : character === one ? "?" : character))
      .join("");
  }

  /** @param text as it stands in an expression */
  static bare(text: string): Operand {
    return new Operand(Array.from(text, meaning));
  }

  /** @param text what stands between the quotes; a backslash takes the meaning of the character behind it */
  static quoted(text: string): Operand {
    const characters: Character[] = [];
    for (const { 0: part } of text.matchAll(/\\?[^]/gu)) {
      characters.push(part.length > 1 && part.startsWith("\\") ? part.slice(1) : meaning(part));
    }
    return new Operand(characters);
  }

  /** `numberOf` it. */
  get number(): number | undefined {
    return (this.#number ??= { value: numberOf(this.text) }).value;
  }

  /** `quantityOf` it. */
  get quantity(): number | undefined {
    return (this.#quantity ??= { value: quantityOf(this.text) }).value;
  }

  /** `versionParts` of it. */
  get version(): readonly string[] {
    return (this.#version ??= versionParts(this.text));
  }

  fits(text: string): boolean {
    if (!this.isGlob) return this.text === text;
    // This runs for each host, so the plain way is the fast one; it counts UTF-16 units, and a ? is one character.
    if (!this.#hasLiterals && !/[\ud800-\udfff]/.test(text)) return fits(this.text, text);
    return fitsSteps(this.#characters, Array.from(text), any, takes);
  }
}

/** Whether a character may stand in a value without quotes. */
export function isBare(character: string): boolean {
  return !/[\s,&!^()[\]<>="'\\]/.test(character);
}

function meaning(character: string): Character {
  if (character === "*") return any;
  return character === "?" ? one : character;
}

function takes(expected: Character, character: string): boolean {
  return expected === one || expected === character;
}
