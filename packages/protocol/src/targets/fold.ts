/**
 * Many names as one short text: `web1,web2,web3,db1` → `db1,web[1-3]`. What comes out is what ClusterShell's `nodeset -f`
 * prints.
 *
 * A name is text with numbers in it. Names with the same text are folded together: those with one number into ranges, those
 * with several as `fold-axes.ts` says. Numbers keep their zeros: 1 and 01 are different numbers.
 */
import { foldAxes } from "./fold-axes.ts";
import { compareNumbers, exactDigits, isPadded } from "./number-text.ts";

/** Names that differ in nothing but their numbers. */
interface Family {
  /** The text around the numbers: one piece more than there are numbers. */
  readonly texts: readonly string[];
  /** Of each name its numbers, as they are written. */
  readonly members: string[][];
}

/** @param names each counts once, however often it is there; they need not be in order */
export function fold(names: Iterable<string>): string {
  const families = new Map<string, Family>();
  for (const name of new Set(names)) {
    const parts = name.split(/(\d+)/);
    const texts = parts.filter((_, index) => index % 2 === 0);
    const numbers = parts.filter((_, index) => index % 2 === 1);
    const key = texts.join("\n");
    const family = families.get(key);
    if (family === undefined) families.set(key, { texts, members: [numbers] });
    else family.members.push(numbers);
  }
  // As ClusterShell orders them: it has "%s" where the numbers are.
  return [...families.values()]
    .map((family) => ({ family, order: family.texts.join("%s") }))
    .sort((left, right) => (left.order < right.order ? -1 : left.order > right.order ? 1 : 0))
    .flatMap(({ family }) => foldFamily(family))
    .join(",");
}

function foldFamily({ texts, members }: Family): string[] {
  const axes = texts.length - 1;
  if (axes === 0) return [texts[0]!];
  const blocks = axes === 1 ? [[members.map(([number]) => number!)]] : foldAxes(members);
  return blocks.map((block) =>
    texts.reduce((text, piece, axis) => `${text}${bracket(block[axis - 1]!)}${piece}`),
  );
}

function bracket(numbers: readonly string[]): string {
  return numbers.length === 1 ? numbers[0]! : `[${ranges(numbers)}]`;
}

/**
 * `1-3,5,08-10`: shorter numbers first, and a number with zeros in front in no range with numbers without. ClusterShell looks for
 * steps, too, and then does not print them; where a range is padded depends on where that has begun, and here it is the same.
 */
function ranges(numbers: readonly string[]): string {
  const found: string[] = [];
  let run: Run | undefined;
  for (const number of [...numbers].sort(compareNumbers))
    run = run?.followedBy(number, found) ?? Run.of(number);
  run?.close(found);
  return found.join(",");
}

/** Numbers at one distance from each other, the last ones that were looked at. */
class Run {
  readonly #numbers: string[];
  /** Its numbers have this length, as the first had zeros in front; `undefined`: they have none. */
  readonly #padding: number | undefined;
  /** `undefined` while there is one number only. */
  #step: string | undefined;

  private constructor(numbers: string[], padding: number | undefined, step: string | undefined) {
    this.#numbers = numbers;
    this.#padding = padding;
    this.#step = step;
  }

  static of(number: string, step?: string): Run {
    return new Run([number], isPadded(number) ? number.length : undefined, step);
  }

  /** @returns the run that goes on; what is over is put into `found` */
  followedBy(number: string, found: string[]): Run {
    // 08 goes on with 09 and 10. 99 goes on with 100, but not with 099.
    const isOther = this.#padding === undefined ? isPadded(number) : number.length !== this.#padding;
    if (isOther) {
      this.close(found);
      return Run.of(number);
    }
    const last = this.#numbers.at(-1)!;
    const step = difference(last, number);
    if (this.#step === undefined || this.#step === step) {
      this.#step = step;
      this.#numbers.push(number);
      return this;
    }
    if (this.#step === "1") {
      this.close(found);
      return Run.of(number, step);
    }
    found.push(...this.#numbers.slice(0, -1));
    return new Run([last, number], this.#padding, step);
  }

  close(found: string[]): void {
    if (this.#step === "1" && this.#numbers.length > 1)
      found.push(`${this.#numbers[0]!}-${this.#numbers.at(-1)!}`);
    else found.push(...this.#numbers);
  }
}

function difference(last: string, number: string): string {
  if (number.length <= exactDigits) return String(Number(number) - Number(last));
  return String(BigInt(number) - BigInt(last));
}
