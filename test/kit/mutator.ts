/**
 * Malformed frames without end, from one seed: frames of every method with values that fit their schemas or nearly do,
 * then bytes flipped, cut, doubled, spliced and made up.
 */
import { encode, type Frame, type MethodMap } from "@outpost/protocol";

/** What of a valibot schema is looked at. A pipe has the fields of the schema that it begins with. */
interface Schema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly wrapped?: Schema;
  readonly item?: Schema;
  readonly key?: Schema;
  readonly value?: Schema;
  readonly literal?: unknown;
  readonly options?: readonly unknown[];
}

const texts = [
  "0123456789ab",
  "zzzzzzzzzzzz",
  "web1",
  "*",
  "default",
  "true",
  "/tmp",
  "stdout",
  "",
  "../../x",
  "\0",
  "a=b",
  "é",
  "\u001b[2J",
  "x".repeat(1_000),
];
const numbers = [
  0,
  1,
  2,
  7,
  255,
  256,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -1,
  0.5,
  1e300,
];
/** Heads of MessagePack values that claim much, or nothing that there is. */
const heads = [
  0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcf, 0xd3, 0xd6,
  0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff,
];

export class Mutator {
  readonly #random: () => number;
  readonly #methods: readonly (readonly [string, Schema])[];
  #last: Uint8Array = new Uint8Array([0x90]);

  /** @param random uniform in [0, 1) */
  constructor(methods: MethodMap, random: () => number) {
    this.#random = random;
    this.#methods = Object.entries(methods).map(([name, { params }]) => [name, params as unknown as Schema]);
  }

  /** The next message; in one case of fifty it may be well-formed. */
  next(): Uint8Array {
    const bytes = this.#encoded();
    const result = this.#chance(0.02) ? bytes : this.#mutated(bytes);
    this.#last = bytes;
    return result;
  }

  #encoded(): Uint8Array {
    try {
      return encode(this.#frame());
    } catch {
      return new Uint8Array([0xc1]); // larger than a message may be
    }
  }

  #frame(): Frame {
    const number = (): number => this.#pick(numbers);
    const kind = Math.floor(this.#random() * 12);
    switch (kind) {
      case 1:
        return [
          1,
          number(),
          this.#chance(0.5) ? null : { code: "busy", message: this.#pick(texts) },
          this.#any(3),
        ] as Frame;
      case 2: {
        const [method, params] = this.#pick(this.#methods);
        return [2, method, this.#value(params)] as unknown as Frame;
      }
      case 3:
        return [3, number(), number(), Buffer.alloc(Math.floor(this.#random() * 64), 7)];
      case 4:
        return [4, number(), number()];
      case 5:
        return [5, number(), null];
      case 6:
        return [6, number()];
      case 7:
        return this.#any(4) as Frame;
      default: {
        const [method, params] = this.#pick(this.#methods);
        return [0, number(), method, this.#value(params)] as unknown as Frame;
      }
    }
  }

  #value(schema: Schema): unknown {
    if (this.#chance(0.05)) return this.#any(3);
    switch (schema.type) {
      case "object":
      case "strict_object":
        return Object.fromEntries(
          Object.entries(schema.entries!)
            .filter(() => !this.#chance(0.03))
            .map(([name, entry]) => [name, this.#value(entry)]),
        );
      case "optional":
        return this.#chance(0.5) ? undefined : this.#value(schema.wrapped!);
      case "array":
        return Array.from({ length: Math.floor(this.#random() * 4) }, () => this.#value(schema.item!));
      case "record":
        return { [this.#pick(texts)]: this.#value(schema.value!) };
      case "picklist":
        return this.#pick(schema.options!);
      case "variant":
      case "union":
        return this.#value(this.#pick(schema.options!) as Schema);
      case "literal":
        return schema.literal;
      case "string":
        return this.#pick(texts);
      case "number":
        return this.#pick(numbers);
      case "boolean":
        return this.#chance(0.5);
      case "custom":
        return Buffer.alloc(this.#pick([0, 16, 32, 64, 500]), 9);
      default:
        return this.#any(2);
    }
  }

  #any(depth: number): unknown {
    const kind = depth === 0 ? 5 + Math.floor(this.#random() * 5) : Math.floor(this.#random() * 10);
    if (kind < 3) return Array.from({ length: Math.floor(this.#random() * 5) }, () => this.#any(depth - 1));
    if (kind < 5)
      return { [this.#pick(texts)]: this.#any(depth - 1), [this.#pick(texts)]: this.#any(depth - 1) };
    return [this.#pick(texts), this.#pick(numbers), null, true, Buffer.from([1, 2, 3])][kind - 5];
  }

  #mutated(bytes: Uint8Array): Uint8Array {
    const at = Math.floor(this.#random() * bytes.byteLength);
    const length = 1 + Math.floor(this.#random() * 16);
    switch (Math.floor(this.#random() * 9)) {
      case 0: {
        const flipped = Buffer.from(bytes);
        for (let flips = 1 + Math.floor(this.#random() * 3); flips > 0; flips--) {
          flipped[Math.floor(this.#random() * flipped.length)]! ^= 1 << Math.floor(this.#random() * 8);
        }
        return flipped;
      }
      case 1: {
        const replaced = Buffer.from(bytes);
        replaced[at] = this.#pick(heads);
        return replaced;
      }
      case 2:
        return bytes.subarray(0, at);
      case 3:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
      case 4:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
      case 5:
        return Buffer.concat([bytes.subarray(0, at), this.#bytes(length), bytes.subarray(at)]);
      case 6:
        return Buffer.concat([bytes.subarray(0, at), this.#last.subarray(at % this.#last.byteLength)]);
      case 7:
        // Deeper than anything may be.
        return Buffer.concat([Buffer.alloc(length * 8, this.#pick([0x91, 0x81])), bytes]);
      default:
        return this.#bytes(Math.floor(this.#random() * 200));
    }
  }

  #bytes(length: number): Buffer {
    return Buffer.from(
      Array.from({ length }, () =>
        this.#chance(0.3) ? this.#pick(heads) : Math.floor(this.#random() * 256),
      ),
    );
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}
