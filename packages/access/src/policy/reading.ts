/** From a policy's text to its rules, or to everything that is wrong with it. */
import { Action, OutpostError } from "@outpost/protocol";
import { firstFact, parse } from "@outpost/protocol/targets";
import { type Document, type DocumentProblem, inOrder, type Path, readDocument } from "../document.ts";
import { nearest } from "../nearest.ts";
import { actionsOf, isAboutHosts } from "./action-patterns.ts";
import { PolicyFile, type RuleEntry } from "./policy-file.ts";
import { Rule, selectsAll } from "./rule.ts";

export type ReadPolicy =
  | { readonly rules: readonly Rule[] }
  | { readonly problems: readonly DocumentProblem[] };

export function readPolicy(text: string): ReadPolicy {
  const read = readDocument(text, PolicyFile);
  if ("problems" in read) return read;
  const { document } = read;
  const groups = new Map(Object.entries(document.value.groups));
  const problems = [
    ...repeatedNames(document),
    ...document.value.rules.flatMap((entry, index) =>
      ruleProblems(document, entry, ["rules", index], groups),
    ),
  ];
  if (problems.length > 0) return { problems: inOrder(problems) };
  const writtenOut = (name: string): readonly string[] =>
    name.startsWith("@") ? groups.get(name.slice(1))! : [name];
  return { rules: document.value.rules.map((entry) => new Rule(entry, entry.operators.flatMap(writtenOut))) };
}

function repeatedNames(document: Document<PolicyFile>): DocumentProblem[] {
  const seen = new Set<string>();
  return document.value.rules.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [document.problem(["rules", index, "name"], `there is a rule ${JSON.stringify(name)} already`)];
  });
}

/** What only the meaning of a rule's entries shows. */
function ruleProblems(
  document: Document<PolicyFile>,
  { operators, actions, targets }: RuleEntry,
  path: Path,
  groups: ReadonlyMap<string, unknown>,
): DocumentProblem[] {
  const problemsOf = (
    key: string,
    entries: readonly string[],
    check: (entry: string) => string | undefined,
  ) =>
    entries.flatMap((entry, index) => {
      const message = check(entry);
      return message === undefined ? [] : [document.problem([...path, key, index], message)];
    });
  return [
    ...problemsOf("operators", operators, (entry) => groupProblem(entry, groups)),
    ...problemsOf("actions", actions, (entry) => actionProblem(entry, targets)),
    ...targetsProblem(document, targets, [...path, "targets"]),
  ];
}

function groupProblem(entry: string, groups: ReadonlyMap<string, unknown>): string | undefined {
  if (!entry.startsWith("@") || groups.has(entry.slice(1))) return undefined;
  const word = nearest(entry.slice(1), groups.keys());
  return `there is no group "${entry.slice(1)}"${word === undefined ? "" : `; did you mean "@${word}"?`}`;
}

function actionProblem(pattern: string, targets: string): string | undefined {
  const named = actionsOf(pattern);
  if (named.length === 0) {
    if (/[*?]/.test(pattern)) return `no action fits ${JSON.stringify(pattern)}`;
    const word = nearest(pattern, Action.options);
    return `there is no action ${JSON.stringify(pattern)}${word === undefined ? "" : `; did you mean "${word}"?`}`;
  }
  // It would never apply. ("*" is not meant here: it names actions about hosts, too.)
  if (!named.some(isAboutHosts) && !selectsAll(targets)) {
    return `${pattern} is about no host, so that a rule about some hosts says nothing of it; make it a rule without targets`;
  }
  return undefined;
}

function targetsProblem(document: Document<PolicyFile>, targets: string, path: Path): DocumentProblem[] {
  try {
    const fact = firstFact(parse(targets));
    if (fact === undefined) return [];
    const { key, position } = fact;
    const label = key.startsWith("fact.") ? "" : `; if the label of that name is meant, write label.${key}`;
    const message = `${JSON.stringify(key)} is a fact, which a host says of itself, and a policy knows names and labels only${label}`;
    return [document.problem(path, message, position - 1)];
  } catch (error) {
    if (!(error instanceof OutpostError)) throw error;
    const { position } = error.data;
    return [document.problem(path, error.message, typeof position === "number" ? position - 1 : 0)];
  }
}
