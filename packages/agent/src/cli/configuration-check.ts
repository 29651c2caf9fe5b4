/** `outpost-agent configuration check`. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { DocumentProblem } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import {
  type Configuration,
  Configurations,
  readConfiguration,
  type Survey,
  surveyConfiguration,
} from "../configurations/index.ts";
import { agentPaths } from "../directory.ts";
import type { ConfigurationOptions } from "./configuration-list.ts";
import { ExitCode } from "./exit-code.ts";
import { print } from "./output.ts";
import { foundProblems } from "./policy-check.ts";

export interface ConfigurationCheckOptions extends ConfigurationOptions {
  /** A name, or a file. */
  readonly name?: string | undefined;
}

interface Checked extends Partial<Survey> {
  readonly name: string;
  readonly file?: string | undefined;
  /** What is wrong with its text. */
  readonly problems: readonly DocumentProblem[];
  /** Why it cannot be used although its text could be. */
  readonly error?: string | undefined;
}

/** @throws OutpostError when a file cannot be read */
export async function checkConfigurations({ dir, name, output }: ConfigurationCheckOptions): Promise<number> {
  const checked = check(new Configurations(agentPaths(dir).configurations), name);
  await print(output, { configurations: checked }, checked.flatMap(linesOf).join("\n"));
  return checked.some(isWrong) ? foundProblems : ExitCode.ok;
}

function check(configurations: Configurations, name: string | undefined): Checked[] {
  if (name !== undefined && (name.includes("/") || name.endsWith(".yaml"))) return [checkFile(name)];
  const listed = configurations.list();
  const chosen = name === undefined ? listed : listed.filter((each) => each.name === name);
  // Says that there is none.
  if (chosen.length === 0) configurations.find(name);
  return chosen.map(({ name: each, file, configuration, error }) =>
    error === undefined
      ? surveyed(each, file, configuration!)
      : { name: each, file, problems: problemsOf(error), error: error.message },
  );
}

function checkFile(file: string): Checked {
  const name = basename(file, ".yaml");
  const read = readConfiguration(name, readText(file));
  return "problems" in read
    ? { name, file, problems: read.problems }
    : surveyed(name, file, read.configuration);
}

function surveyed(name: string, file: string | undefined, configuration: Configuration): Checked {
  return { name, file, problems: [], ...surveyConfiguration(configuration) };
}

function problemsOf({ data }: OutpostError): readonly DocumentProblem[] {
  return (data["problems"] ?? []) as readonly DocumentProblem[];
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === "ENOENT";
    throw new OutpostError(
      missing ? ErrorCode.notFound : ErrorCode.internal,
      missing ? `there is no file ${file}` : `cannot read ${file}: ${String(code)}`,
      { cause: error },
    );
  }
}

function isWrong({ problems, error, findings = [] }: Checked): boolean {
  return problems.length > 0 || error !== undefined || findings.some(({ kind }) => kind === "problem");
}

function linesOf(checked: Checked): string[] {
  const { name, file, problems, error, findings = [], limits = [] } = checked;
  if (problems.length > 0) {
    const place = file ?? name;
    return problems.map(
      ({ line, column, message }) => `${place}:${String(line)}:${String(column)}: ${message}`,
    );
  }
  if (error !== undefined) return [`${name}: ${error}`];
  const held = limits.filter(({ enforced }) => enforced).map(({ limit, how }) => `  limit ${limit}: ${how}`);
  const said = findings.map(({ kind, message }) => `  ${kind}: ${message}`);
  return [
    `${name}: ${isWrong(checked) ? "its file is right, and yet" : "nothing is wrong"}`,
    ...said,
    ...held,
  ];
}
