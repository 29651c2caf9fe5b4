/**
 * What a doctor looks at, and what was found: checks in their order, each a question with an honest answer. What needs an earlier
 * one that did not come out well is not asked: its answer would only say the same again.
 */
import { OutpostError } from "@outpost/protocol";

/** `warning`: it works, and somebody should look. `problem`: it does not work. `skipped`: it could not be asked. */
export type Verdict = "ok" | "warning" | "problem" | "skipped";

/** An answer. */
export interface Answer {
  readonly verdict: Verdict;
  /** A sentence for people. */
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
  /** The same for programs. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Finding extends Answer {
  /** What was looked at: the check's name. */
  readonly check: string;
}

export interface Check {
  /** One or two words; `needs` of others name it. */
  readonly name: string;
  /** Checks that have to be answered `ok` or `warning` before. */
  readonly needs?: readonly string[];
  readonly look: () => Promise<Answer | readonly Answer[]> | Answer | readonly Answer[];
}

export const ok = (message: string, data?: Answer["data"]): Answer => ({
  verdict: "ok",
  message,
  ...(data === undefined ? {} : { data }),
});
export const skipped = (message: string): Answer => ({ verdict: "skipped", message });
export const warning = (message: string, advice: string, data?: Answer["data"]): Answer => ({
  verdict: "warning",
  message,
  advice,
  ...(data === undefined ? {} : { data }),
});
export const problem = (message: string, advice: string, data?: Answer["data"]): Answer => ({
  verdict: "problem",
  message,
  advice,
  ...(data === undefined ? {} : { data }),
});

/** Asks them one after another, and tells each answer as it comes. */
export async function* examine(checks: readonly Check[]): AsyncGenerator<Finding, void, void> {
  const well = new Set<string>();
  for (const { name, needs = [], look } of checks) {
    const missing = needs.find((need) => !well.has(need));
    if (missing !== undefined) {
      yield { check: name, ...skipped(`not looked at: it needs ${missing}`), data: { needs: missing } };
      continue;
    }
    const answers = await answersOf(look);
    if (answers.every(({ verdict }) => verdict === "ok" || verdict === "warning")) well.add(name);
    for (const answer of answers) yield { check: name, ...answer };
  }
}

async function answersOf(look: Check["look"]): Promise<readonly Answer[]> {
  try {
    const answers = await look();
    return "verdict" in answers ? [answers] : answers;
  } catch (reason) {
    // A check that cannot be carried out has found something, if not what it looked for.
    const { code, message } = OutpostError.from(reason);
    return [problem(message, "what the message says comes first; then look again", { code })];
  }
}

/** Whether people are told of it by a line of its own: what only follows from an earlier one is in the conclusion. */
export function isShown({ verdict, data }: Finding): boolean {
  return verdict !== "skipped" || data?.["needs"] === undefined;
}

/** How all of it came out: 0 unless something does not work. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ verdict }) => verdict === "problem") ? 1 : 0;
}

// ------------------------------------------------------------------------------------------- for people

export interface Style {
  /** Signs of Unicode, in colours; else words. */
  readonly isPretty: boolean;
}

const plainMarks: Readonly<Record<Verdict, string>> = {
  ok: "ok  ",
  warning: "warn",
  problem: "FAIL",
  skipped: "skip",
};
/** SGR, ECMA-48: green, yellow, red, dim. */
const prettyMarks: Readonly<Record<Verdict, string>> = {
  ok: "\u001b[32m✓\u001b[0m",
  warning: "\u001b[33m!\u001b[0m",
  problem: "\u001b[31m✗\u001b[0m",
  skipped: "\u001b[2m-\u001b[0m",
};

/** Colours are for terminals, and for people who want them (https://no-color.org). */
export function styleOf(isTerminal: boolean, env: NodeJS.ProcessEnv): Style {
  const { NO_COLOR: noColor = "", TERM: term } = env;
  return { isPretty: isTerminal && noColor === "" && term !== "dumb" };
}

/** One line, and another one for what to do. @param width of the checks' names */
export function findingText(
  { check, verdict, message, advice }: Finding,
  { isPretty }: Style,
  width: number,
): string {
  const mark = (isPretty ? prettyMarks : plainMarks)[verdict];
  const indent = " ".repeat((isPretty ? 1 : 4) + 1 + width + 2);
  const line = `${mark} ${check.padEnd(width)}  ${message.replaceAll("\n", `\n${indent}`)}`;
  const arrow = isPretty ? "→" : "->";
  return advice === undefined
    ? line
    : `${line}\n${indent}${arrow} ${advice.replaceAll("\n", `\n${indent}   `)}`;
}

/** The last line. */
export function conclusion(findings: readonly Finding[]): string {
  const count = (verdict: Verdict): number => findings.filter((found) => found.verdict === verdict).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const left = findings.filter((found) => !isShown(found)).map(({ check }) => check);
  const parts = [
    problems === 0 ? "nothing is wrong" : `${several(problems, "problem")}`,
    ...(warnings === 0 ? [] : [several(warnings, "warning")]),
  ];
  const rest = left.length === 0 ? "" : `; not looked at, as it needs what is wrong: ${left.join(", ")}`;
  return `${parts.join(", ")}${rest}`;
}

function several(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? "" : "s"}`;
}
