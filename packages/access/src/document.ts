/**
 * YAML that people write (policies, configurations): read, checked against a schema, and every problem with the place
 * that it is at. The only importer of `yaml`.
 *
 * YAML 1.2 with its core schema: `yes` and `on` are text, keys are text and come once, tags of other types are problems.
 */
import * as v from "valibot";
import { type Document as Tree, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import { nearest } from "./nearest.ts";

export { nearest } from "./nearest.ts";

/** What is wrong, and where. */
export interface DocumentProblem {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  /** Without a full stop. */
  readonly message: string;
}

export type Path = readonly (string | number)[];

/** A document that fits its schema. */
export interface Document<T> {
  readonly value: T;
  /**
   * A problem with what is at `path`, which the schema could not see.
   * @param offset how many characters into the text there; it is as exact as the quotes and line breaks there let it be
   */
  problem(path: Path, message: string, offset?: number): DocumentProblem;
}

export type ReadDocument<T> =
  | { readonly document: Document<T> }
  | { readonly problems: readonly DocumentProblem[] };

/** The longest text that is read, in characters; a longer one is a problem. A thousand rules and ten thousand names have
 * room in it. The YAML library compares each key of a map with all others: 256 KiB of nothing but keys take it seconds. */
const maxTextLength = 256 * 1024;

/** So many problems are told; whoever has more will mend these first. */
const maxProblems = 100;

/** @returns the document, or everything that is wrong with it: as YAML, or else by its schema; at most 100 problems */
export function readDocument<T>(text: string, schema: v.GenericSchema<unknown, T>): ReadDocument<T> {
  if (text.length > maxTextLength) {
    return {
      problems: [{ line: 1, column: 1, message: `is longer than ${String(maxTextLength)} characters` }],
    };
  }
  const lines = new LineCounter();
  const tree = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const places = new Places(tree, lines, text);
  const malformed = [...tree.errors, ...tree.warnings].map((error) =>
    places.at(error.pos[0], syntaxMessage(error.code, error.message)),
  );
  if (malformed.length > 0) return { problems: inOrder(malformed) };
  let value: unknown;
  try {
    value = tree.toJS();
  } catch (error) {
    // Aliases of aliases: it would take gigabytes to write them out.
    return { problems: [places.at(0, `cannot be read: ${(error as Error).message}`)] };
  }
  // To the schema a list is an object with the keys 0, 1, …
  if (isSeq(tree.contents))
    return { problems: [places.at(0, "the document must be keys with values, not a list")] };
  const strange = inheritedKeys(tree, places);
  if (strange.length > 0) return { problems: inOrder(strange) };
  const result = v.safeParse(schema, value);
  if (!result.success) {
    return { problems: inOrder(result.issues.flatMap((issue) => places.issue(issue, schema))) };
  }
  return { document: { value: result.output, problem: places.problem.bind(places) } };
}

/** By place, and no more than somebody wants to see. */
export function inOrder(problems: readonly DocumentProblem[]): DocumentProblem[] {
  return problems
    .toSorted((left, right) => left.line - right.line || left.column - right.column)
    .slice(0, maxProblems);
}

/** The YAML library's words are for who writes parsers; these mistakes are for everybody. */
function syntaxMessage(code: string, message: string): string {
  const text = message.replace(/\.$/, "");
  if (code === "BAD_ALIAS") return `${text}; text that begins with * must be in quotes`;
  if (text.includes("reserved character")) return `${text}; it must be in quotes`;
  if (code === "DUPLICATE_KEY") return "this key is there already";
  return text;
}

/** `constructor:` and the like: objects have them anyway, so that the schema would pass them over. */
function inheritedKeys(tree: Tree, places: Places): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  visit(tree, {
    Pair(_, { key }) {
      if (isScalar(key) && typeof key.value === "string" && key.value in Object.prototype) {
        problems.push(places.at(key.range?.[0] ?? 0, `"${key.value}" cannot be used as a key`));
      }
    },
  });
  return problems;
}

/** From paths to lines and columns. */
class Places {
  readonly #tree: Tree;
  readonly #lines: LineCounter;
  readonly #text: string;

  constructor(tree: Tree, lines: LineCounter, text: string) {
    this.#tree = tree;
    this.#lines = lines;
    this.#text = text;
  }

  at(offset: number, message: string): DocumentProblem {
    const { line, col } = this.#lines.linePos(offset);
    // An empty text has no line yet.
    return { line: Math.max(line, 1), column: Math.max(col, 1), message };
  }

  problem(path: Path, message: string, offset = 0): DocumentProblem {
    return this.at(this.#startOf(path) + this.#textOffset(path, offset), message);
  }

  issue(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): DocumentProblem[] {
    const steps = issue.path ?? [];
    const path = steps.map(({ key }) => key as string | number);
    if (issue.expected === "never") return this.#unknownKeys(steps.at(-1)?.input, path, schema);
    const message = issueMessage(issue, path, schema);
    return [this.at(this.#keyOrStart(path, issue), message)];
  }

  /** Of an object's unknown keys an issue names the first. */
  #unknownKeys(input: unknown, named: Path, schema: v.GenericSchema): DocumentProblem[] {
    const path = named.slice(0, -1);
    const entries = schemaAt(schema, path)?.entries;
    const known = Object.keys(entries ?? {});
    // Where the schema cannot be followed (alternatives), the issue alone knows.
    const keys = entries === undefined ? [String(named.at(-1))] : Object.keys(input as object);
    return keys
      .filter((key) => !known.includes(key))
      .slice(0, maxProblems)
      .map((key) => this.at(this.#keyOf([...path, key]) ?? 0, `unknown key "${key}"${hint(key, known)}`));
  }

  #keyOrStart(path: Path, issue: v.BaseIssue<unknown>): number {
    const { origin } = (issue.path?.at(-1) ?? {}) as { origin?: string };
    if (origin !== "key") return this.#startOf(path);
    // A key that is missing has no place of its own; what it is missing in has.
    return this.#keyOf(path) ?? this.#startOf(path.slice(0, -1));
  }

  /** Of what is there; behind an alias: of the nearest that is around it. */
  #startOf(path: Path): number {
    const node = path.length === 0 ? this.#tree.contents : this.#tree.getIn(path, true);
    const start = (node as { range?: readonly number[] | null } | undefined | null)?.range?.[0];
    if (start !== undefined) return start;
    return path.length === 0 ? 0 : (this.#keyOf(path) ?? this.#startOf(path.slice(0, -1)));
  }

  #keyOf(path: Path): number | undefined {
    const parent = path.length === 1 ? this.#tree.contents : this.#tree.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const key = parent.items
      .map((item) => item.key)
      .find((each) => isScalar(each) && each.value === path.at(-1));
    return isScalar(key) ? key.range?.[0] : undefined;
  }

  /** Where in the source a character of a text is: exact when it stands there as it is, at most in quotes. */
  #textOffset(path: Path, offset: number): number {
    const node = this.#tree.getIn(path, true);
    if (offset === 0 || !isScalar(node) || typeof node.value !== "string" || !node.range) return 0;
    const source = this.#text.slice(node.range[0], node.range[1]);
    const start = source.indexOf(node.value);
    return start < 0 ? 0 : start + offset;
  }
}

function issueMessage(issue: v.BaseIssue<unknown>, path: Path, schema: v.GenericSchema): string {
  const key = path.findLast((step) => typeof step === "string");
  const isMissing = issue.input === undefined && issue.received === "undefined";
  if (isMissing) return `the key ${key === undefined ? "" : `"${String(key)}" `}is missing`;
  if (issue.kind === "validation") {
    const subject = typeof issue.input === "string" ? JSON.stringify(issue.input) : String(key ?? "it");
    return `${subject} ${issue.message}`;
  }
  if (path.length === 0 && issue.input === null) return "the document is empty";
  const subject =
    key === undefined ? "the document" : (typeof path.at(-1) === "number" ? "an entry of " : "") + key;
  const options = schemaAt(schema, path)?.options?.map(String);
  if (options !== undefined)
    return `${subject} must be ${options.join(" or ")}, not ${String(issue.received)}`;
  return `${subject} must be ${kindOf(issue.expected)}, not ${kindOf(issue.received)}`;
}

function hint(text: string, known: readonly string[]): string {
  const word = nearest(text, known);
  if (word !== undefined) return `; did you mean "${word}"?`;
  return known.length === 0 ? "" : ` (there are ${known.join(", ")})`;
}

const kinds: ReadonlyMap<string, string> = new Map([
  ["Array", "a list"],
  ["Object", "keys with values"],
  ["string", "text"],
  ["boolean", "true or false"],
  ["number", "a number"],
  ["null", "nothing"],
]);

/** In a person's words. Text that is not in quotes may have been read as something else, so its value is shown. */
function kindOf(type: string | null): string {
  if (type === null) return "something else";
  const known = kinds.get(type);
  if (known !== undefined) return known;
  if (type.startsWith('"')) return `the text ${type}`;
  return /^(?:-?\d|true$|false$)/.test(type) ? `${type} (text must be in quotes here)` : type;
}

/** What a schema is made of, as far as a document's place can be followed into it. */
interface SchemaParts {
  readonly entries?: Readonly<Record<string, SchemaParts>>;
  readonly item?: SchemaParts;
  readonly value?: SchemaParts;
  readonly wrapped?: SchemaParts;
  readonly options?: readonly (string | number)[];
}

function schemaAt(schema: v.GenericSchema, path: Path): SchemaParts | undefined {
  const unwrapped = (part: SchemaParts | undefined): SchemaParts | undefined =>
    part?.wrapped === undefined ? part : unwrapped(part.wrapped);
  return path.reduce<SchemaParts | undefined>(
    (part, step) => unwrapped(typeof step === "number" ? part?.item : (part?.entries?.[step] ?? part?.value)),
    unwrapped(schema as SchemaParts),
  );
}
