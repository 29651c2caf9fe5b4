/** From text to a target expression, or to the place where it cannot be read. The grammar stands in `syntax.ts`. */
import { maxExpressionLength } from "../limits.ts";
import { pointless } from "./comparison.ts";
import { malformed, tooLarge } from "./malformed.ts";
import { NamePattern } from "./name-pattern.ts";
import { isBare, Operand } from "./operand.ts";
import { BadRanges } from "./ranges.ts";
import { type Comparator, leaves, type Node, type SetOperator, type Targets } from "./syntax.ts";

/** The most names, patterns and comparisons. */
const maxItems = 10_000;
/** The most patterns with `*` or `?`, comparisons and negations: each is looked at for each host. */
const maxScans = 1_000;
/** The most names that the ranges of an expression may be written out. */
const maxNames = 1_000_000;
/** Of an expression that goes nowhere. */
const maxLocalLength = 64 * 1024 * 1024;
/** How deep parentheses and `not` may nest. */
const maxDepth = 64;

export interface ParseOptions {
  /** True: `@group` is allowed. Default false: only the client knows groups, and has put their hosts in their place. */
  readonly groups?: boolean | undefined;
  /** True: it goes nowhere, and may be as long as a list of a million names. Default false. */
  readonly local?: boolean | undefined;
}

/**
 * @throws OutpostError `invalid_argument` with `data.position` (characters, from 1) of what cannot be read; `limit_exceeded`
 */
export function parse(expression: string, options: ParseOptions = {}): Targets {
  const maxLength = options.local === true ? maxLocalLength : maxExpressionLength;
  if (expression.length > maxLength) {
    throw tooLarge(
      `it may have ${String(maxLength)} characters at most, and has ${String(expression.length)}; \`outpost targets fold\` makes lists of names shorter`,
    );
  }
  return { text: expression, root: new Parser(expression, options).parse() };
}

const words: ReadonlySet<string> = new Set(["and", "or", "not"]);
const comparators: readonly Comparator[] = ["!=", "<=", ">=", "=", "<", ">"];
const missing = "a host, pattern or label is missing";

class Parser {
  readonly #text: string;
  readonly #options: ParseOptions;
  #at = 0;
  #depth = 0;
  #items = 0;
  #scans = 0;
  #names = 0;

  constructor(text: string, options: ParseOptions) {
    this.#text = text;
    this.#options = options;
  }

  parse(): Node {
    const root = this.#expression();
    if (this.#at < this.#text.length) throw this.#unexpected(root);
    return root;
  }

  #expression(): Node {
    return this.#joined("or", () => this.#joined("and", () => this.#negation()));
  }

  #joined(kind: "and" | "or", operand: () => Node): Node {
    const first = operand();
    const operands = [first];
    while (this.#takeWord(kind)) operands.push(operand());
    return operands.length === 1 ? first : { kind, operands, start: first.start, end: operands.at(-1)!.end };
  }

  #negation(): Node {
    this.#blanks();
    const start = this.#at;
    if (this.#isNameAt(start + "not".length) || !this.#takeWord("not")) return this.#set();
    this.#count("scan");
    const operand = this.#nested(start, () => this.#negation());
    return { kind: "not", operand, start, end: operand.end };
  }

  #set(): Node {
    const first = this.#item();
    const operands = [first];
    const operators: SetOperator[] = [];
    for (let operator = this.#takeOperator(); operator !== undefined; operator = this.#takeOperator()) {
      operators.push(operator);
      operands.push(this.#item());
    }
    if (operators.length === 0) return first;
    return { kind: "set", operands, operators, start: first.start, end: operands.at(-1)!.end };
  }

  #item(): Node {
    this.#blanks();
    const start = this.#at;
    const character = this.#text[start];
    if (character === "(") return this.#parentheses();
    if (character === "@") return this.#group();
    if (character === '"' || character === "'") return this.#quotedName();
    const word = this.#word();
    if (word === "") throw this.#noItem();
    const wordEnd = this.#at;
    this.#blanks();
    const comparator = comparators.find((each) => this.#text.startsWith(each, this.#at));
    if (comparator !== undefined) return this.#comparison(word, start, comparator);
    this.#at = wordEnd;
    if (words.has(word) && !this.#isNameAt(wordEnd)) {
      throw this.#malformed(
        word === "not"
          ? 'before "not" stands an operator that binds tighter; put it into parentheses: (not …)'
          : `before "${word}" ${missing}`,
        start,
      );
    }
    return this.#pattern(word, start);
  }

  #parentheses(): Node {
    const start = this.#at++;
    const inner = this.#nested(start, () => this.#expression());
    this.#blanks();
    if (this.#at >= this.#text.length) throw this.#malformed("the parenthesis is not closed", start);
    if (this.#text[this.#at] !== ")") throw this.#unexpected(inner);
    this.#at++;
    return { ...inner, start, end: this.#at };
  }

  #nested(start: number, inner: () => Node): Node {
    if (++this.#depth > maxDepth) {
      throw tooLarge(
        `parentheses and "not" may nest ${String(maxDepth)} deep, at character ${String(start + 1)}`,
      );
    }
    const node = inner();
    this.#depth--;
    return node;
  }

  #group(): Node {
    const start = this.#at++;
    if (this.#options.groups !== true) {
      throw this.#malformed("groups are expanded by the client, and this is behind it", start);
    }
    this.#count("item");
    let group = this.#bare();
    // @file:"with blanks"
    if (/["']/.test(this.#text[this.#at] ?? "")) group += this.#quoted().replaceAll(/\\([^])/g, "$1");
    if (group === "") throw this.#malformed("the name of a group is missing behind @", start);
    return { kind: "group", group, start, end: this.#at };
  }

  /** A name that would be an operator, e.g. `"or"`. */
  #quotedName(): Node {
    const start = this.#at;
    const name = this.#quoted();
    if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
      throw this.#malformed("only a host's name (a-z 0-9 . _ -) may stand in quotes here", start);
    }
    this.#count("item");
    return { kind: "pattern", pattern: new NamePattern(name), start, end: this.#at };
  }

  #comparison(key: string, start: number, comparator: Comparator): Node {
    if (!/^[a-z][a-z0-9._/-]{0,62}$/.test(key)) {
      throw this.#malformed(`"${key}" is not a label key or fact (a-z 0-9 . _ / -)`, start);
    }
    this.#at += comparator.length;
    this.#blanks();
    const at = this.#at;
    const operand = /["']/.test(this.#text[at] ?? "")
      ? Operand.quoted(this.#quoted())
      : Operand.bare(this.#bare());
    if (this.#at === at) throw this.#noValue(`${key}${comparator}`);
    const wrong = pointless({ key, comparator, operand });
    if (wrong !== undefined) throw this.#malformed(wrong, at);
    this.#count("item");
    this.#count("scan");
    return { kind: "comparison", key, comparator, operand, start, end: this.#at };
  }

  #pattern(word: string, start: number): Node {
    if (!/^[a-z0-9*?[]/.test(word)) {
      throw this.#malformed(`"${word}" is not a host name or pattern${reasonFor(word)}`, start);
    }
    const bad = strangeIn(word);
    if (bad >= 0) {
      throw this.#malformed(`"${word}" is not a host name or pattern${reasonFor(word)}`, start + bad);
    }
    this.#count("item");
    try {
      const pattern = new NamePattern(word);
      if (pattern.kind === "glob") this.#count("scan");
      else this.#count("names", pattern.count);
      return { kind: "pattern", pattern, start, end: this.#at };
    } catch (error) {
      if (error instanceof BadRanges) throw this.#malformed(error.message, start + error.offset);
      throw error;
    }
  }

  /** Characters of names, patterns and keys, and brackets with what is in them. */
  #word(): string {
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]!;
      if (character === "[") {
        const close = this.#text.indexOf("]", this.#at);
        const open = this.#text.indexOf("[", this.#at + 1);
        if (close < 0 || (open >= 0 && open < close))
          throw this.#malformed("the bracket is not closed", this.#at);
        this.#at = close + 1;
      } else if (/[A-Za-z0-9._*?/-]/.test(character)) {
        this.#at++;
      } else {
        break;
      }
    }
    if (this.#text[this.#at] === "]")
      throw this.#malformed("no bracket was opened before this one", this.#at);
    return this.#text.slice(start, this.#at);
  }

  #bare(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && isBare(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** @returns what is between the quotes, with its backslashes */
  #quoted(): string {
    const start = this.#at;
    const quote = this.#text[start]!;
    for (let at = start + 1; at < this.#text.length; at++) {
      if (this.#text[at] === "\\") at++;
      else if (this.#text[at] === quote) {
        this.#at = at + 1;
        return this.#text.slice(start + 1, at);
      }
    }
    throw this.#malformed("the quote is not closed", start);
  }

  /** Whether what ends here can only be a name: lists of names can be read whatever hosts are called. */
  #isNameAt(end: number): boolean {
    const next = this.#behindBlanks(end);
    return /^(?:$|[,&^)]|!(?!=))/.test(this.#text.slice(next, next + 2));
  }

  #takeWord(word: string): boolean {
    this.#blanks();
    if (!this.#text.startsWith(word, this.#at)) return false;
    const end = this.#at + word.length;
    if (/[A-Za-z0-9._*?/[\]-]/.test(this.#text[end] ?? " ")) return false;
    // not=1 is a label.
    const next = this.#behindBlanks(end);
    if (/^(?:[=<>]|!=)/.test(this.#text.slice(next, next + 2))) return false;
    this.#at = end;
    return true;
  }

  #takeOperator(): SetOperator | undefined {
    this.#blanks();
    const character = this.#text[this.#at];
    if (character !== "," && character !== "&" && character !== "!" && character !== "^") return undefined;
    this.#at++;
    return character;
  }

  #blanks(): void {
    this.#at = this.#behindBlanks(this.#at);
  }

  #behindBlanks(start: number): number {
    let at = start;
    while (/\s/.test(this.#text[at] ?? "")) at++;
    return at;
  }

  #count(what: "item" | "scan" | "names", by = 1): void {
    const limit = this.#options.local === true ? maxNames : maxItems;
    if (what === "item" && (this.#items += by) > limit) {
      throw tooLarge(`it may have ${String(limit)} names, patterns and comparisons at most`);
    }
    if (what === "scan" && (this.#scans += by) > maxScans) {
      throw tooLarge(
        `it may have ${String(maxScans)} patterns, comparisons and negations at most; lists of names may be longer`,
      );
    }
    if (what === "names" && (this.#names += by) > maxNames) {
      throw tooLarge(`its ranges may stand for ${String(maxNames)} names at most; use * instead`);
    }
  }

  #noItem(): Error {
    const character = this.#text[this.#at];
    if (character === undefined || character === ")" || /[,&^]/.test(character)) {
      return this.#malformed(missing, this.#at);
    }
    if (character === "!") {
      return this.#malformed(`before "!" ${missing}; all but these: not (…), or *!…`, this.#at);
    }
    if (/[=<>]/.test(character))
      return this.#malformed(`before "${character}" a label's key or a fact is missing`, this.#at);
    return this.#strange();
  }

  #noValue(comparison: string): Error {
    const character = this.#text[this.#at] ?? "";
    if (character === "=" && comparison.endsWith("=")) {
      return this.#malformed(`it is ${comparison}…, with one "="`, this.#at);
    }
    if (character === "[" || character === "]") return this.#needsQuotes(character);
    return this.#malformed(
      `the value is missing behind ${comparison}; an empty one is ${comparison}""`,
      this.#at,
    );
  }

  /** Behind a whole operand stands something that is no operator. */
  #unexpected(before: Node): Error {
    const character = this.#text[this.#at]!;
    if (character === ")") return this.#malformed("no parenthesis was opened before this one", this.#at);
    const last = lastLeaf(before);
    const glued = last.end === this.#at;
    if (/[[\]<>=]/.test(character) && last.kind === "comparison" && glued)
      return this.#needsQuotes(character);
    if (/[=<>]/.test(character))
      return this.#malformed(`only a label or fact can be compared with "${character}"`, this.#at);
    if (!/[A-Za-z0-9*?[("'@]/.test(character)) return this.#strange();
    const left = shown(this.#text.slice(last.start, last.end));
    const right = shown(
      /^[A-Za-z0-9._*?@-]*/.exec(this.#text.slice(this.#at, this.#at + 64))![0] || character,
    );
    const operator = words.has(right.toLowerCase())
      ? `operators are written in lower case: ${right.toLowerCase()}`
      : `write ${left},${right} for both, ${left} and ${right} for what is in both`;
    return this.#malformed(`there is no operator between ${left} and ${right}; ${operator}`, this.#at);
  }

  #needsQuotes(character: string): Error {
    return this.#malformed(`a value with "${character}" must be in quotes`, this.#at);
  }

  #strange(): Error {
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    return this.#malformed(
      `${JSON.stringify(character)} cannot stand in a host name or pattern (a-z 0-9 . _ - and * ? [ ])`,
      this.#at,
    );
  }

  #malformed(what: string, offset: number): Error {
    return malformed(what, this.#text, offset);
  }
}

/** Where the first character is that no pattern has, but for what is in brackets; -1: nowhere. */
function strangeIn(word: string): number {
  for (let at = 0; at < word.length; at++) {
    if (word[at] === "[") at = word.indexOf("]", at);
    else if (!/[a-z0-9._*?-]/.test(word[at]!)) return at;
  }
  return -1;
}

function reasonFor(word: string): string {
  if (/[A-Z]/.test(word)) return `: host names are in lower case (${word.toLowerCase()})`;
  return " (a-z 0-9 . _ - and * ? [ ])";
}

function lastLeaf(node: Node): Node {
  let last: Node = node;
  for (const leaf of leaves(node)) last = leaf;
  return last.end > node.end ? node : last;
}

/** A piece of the expression, short enough for a message. */
function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}…` : text;
}
