/**
 * What hosts say of themselves as it is kept for each of them: no more than anybody needs, and what thousands of hosts say
 * alike once.
 */
import { limits, type CustomFacts, type Facts } from "@outpost/protocol";

/** So many texts are remembered. A host that thinks up ever new ones makes others share less, and nothing else. */
const maxShared = 4_096;

/** The longest text that several hosts may be expected to say, in characters. */
const maxSharedLength = 128;

export class KeptFacts {
  readonly #texts = new Map<string, string>();

  /** How many texts are shared. */
  get size(): number {
    return this.#texts.size;
  }

  /** A copy of its own. */
  keep(facts: Facts): Facts {
    const { hostname, bootId, addresses, custom, ...rest } = facts;
    return {
      ...(this.#share(rest) as typeof rest),
      // Each host's own.
      hostname,
      bootId,
      ...(addresses === undefined ? {} : { addresses }),
      ...(custom === undefined ? {} : { custom: this.#share(cutCustom(custom)) as CustomFacts }),
    };
  }

  #share(value: unknown): unknown {
    if (typeof value === "string") return this.#shareText(value);
    if (Array.isArray(value)) return value.map((each) => this.#share(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [this.#shareText(key), this.#share(each)]),
    );
  }

  #shareText(text: string): string {
    if (text.length > maxSharedLength) return text;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= maxShared) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }
}

/** The first of them, as many as are kept. */
function cutCustom(custom: CustomFacts): CustomFacts {
  let length = 2;
  const kept: [string, CustomFacts[string]][] = [];
  for (const [name, value] of Object.entries(custom)) {
    length += JSON.stringify(name).length + JSON.stringify(value).length + 2;
    if (length > limits.maxCustomFactsLength) break;
    kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}
