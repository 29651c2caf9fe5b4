/**
 * What a program of `facts.d` prints, or a file of it holds, as facts:
 *
 *     {"rack": "r12", "power": {"feed": "a", "kw": 3.5}}     an object of JSON: rack, power.feed, power.kw
 *     rack=r12                                               lines KEY=VALUE; blank ones and # comments are passed over
 *     r12                                                    one bare line: the fact is called as the file
 *
 * What of it cannot be a fact is told, and the rest counts.
 */
import { type CustomFacts, FactName } from "@outpost/protocol";
import * as v from "valibot";

export type FactValue = CustomFacts[string];

export interface FactsRead {
  readonly facts: Readonly<Record<string, FactValue>>;
  /** What could not be used, and why: the end of a sentence about the file. */
  readonly problems: readonly string[];
}

/** The longest text of a fact, in characters. */
const maxTextLength = 1024;

/** Deeper is no fact any more. */
const maxDepth = 4;

/** So many problems of one file are told. */
const maxProblems = 5;

/** @param name what a bare line is the fact of @param json nothing but JSON will do */
export function readFacts(text: string, name: string, json = false): FactsRead {
  const reading = new Reading();
  const trimmed = text.trim();
  if (trimmed.includes("\0")) reading.problem("holds a NUL character: it is not text");
  else if (json || trimmed.startsWith("{")) reading.json(trimmed);
  else if (trimmed !== "") reading.lines(trimmed, name);
  return reading.result;
}

class Reading {
  readonly #facts = new Map<string, FactValue>();
  readonly #problems: string[] = [];

  get result(): FactsRead {
    const hidden = this.#problems.length - maxProblems;
    const problems =
      hidden <= 0
        ? this.#problems
        : [...this.#problems.slice(0, maxProblems), `has ${String(hidden)} more such problems`];
    return { facts: Object.fromEntries(this.#facts), problems };
  }

  problem(text: string): void {
    this.#problems.push(text);
  }

  json(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      this.problem(`is not JSON: ${(error as Error).message.split("\n")[0]!.slice(0, 200)}`);
      return;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.problem("is JSON, but not an object: facts are its keys and values");
      return;
    }
    this.#object(value, "", 1);
  }

  lines(text: string, name: string): void {
    const lines = text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#"));
    const [first] = lines;
    if (lines.length === 1 && !first!.includes("=")) {
      this.#add(name, first);
      return;
    }
    for (const line of lines) {
      const at = line.indexOf("=");
      if (at < 1) this.problem(`has a line that is not KEY=VALUE: ${quoted(line)}`);
      else this.#add(line.slice(0, at).trim(), line.slice(at + 1).trim());
    }
  }

  #object(value: object, prefix: string, depth: number): void {
    for (const [key, each] of Object.entries(value)) {
      if (typeof each !== "object" || each === null || Array.isArray(each))
        this.#add(`${prefix}${key}`, each);
      else if (depth < maxDepth) this.#object(each as object, `${prefix}${key}.`, depth + 1);
      else this.problem(`nests deeper than ${String(maxDepth)} objects at ${quoted(prefix + key)}`);
    }
  }

  #add(name: string, value: unknown): void {
    // It says that there is none.
    if (value === null) return;
    if (!v.is(FactName, name)) {
      this.problem(`names a fact ${quoted(name)}: names are up to 63 of a-z 0-9 . _ -, a letter first`);
    } else if (typeof value === "number" ? !Number.isFinite(value) : !isScalar(value)) {
      this.problem(`gives ${name} a value that is neither a text nor a number, true or false`);
    } else if (typeof value === "string" && value.length > maxTextLength) {
      this.problem(`gives ${name} a text of more than ${String(maxTextLength)} characters`);
    } else {
      this.#facts.set(name, value as FactValue);
    }
  }
}

function isScalar(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function quoted(text: string): string {
  return JSON.stringify(text.length <= 60 ? text : `${text.slice(0, 59)}…`);
}
