/** Names and patterns of names, with `*` and `?`: of operators, configurations, users. */
import { fits } from "@outpost/protocol/targets";

export class NamePatterns {
  /** As it was written, groups by their name. */
  readonly text: string;
  readonly #names: ReadonlySet<string>;
  readonly #patterns: readonly string[];

  /** @param patterns what `text` means, with groups written out */
  constructor(text: readonly string[], patterns: readonly string[] = text) {
    this.text = text.join(", ");
    this.#names = new Set(patterns.filter((pattern) => !isPattern(pattern)));
    this.#patterns = patterns.filter(isPattern);
  }

  has(name: string): boolean {
    return this.#names.has(name) || this.#patterns.some((pattern) => fits(pattern, name));
  }
}

function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}
