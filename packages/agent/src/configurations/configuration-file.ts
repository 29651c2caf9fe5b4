/** How a configuration is written: YAML, with unknown keys refused and every problem told with its place. */
import { type DocumentProblem, readDocument } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { Arguments } from "./argument-pattern.ts";
import type { Configuration } from "./configuration.ts";
import { ByteSize, Count, Cpus, Duration } from "./quantity.ts";
import { isPassable } from "./unsafe-variables.ts";

const noNul = (text: string): boolean => !text.includes("\0");
const Text = v.pipe(v.string(), v.check(noNul, "must not hold a NUL character"));
const AbsolutePath = v.pipe(
  Text,
  v.startsWith("/", "is not an absolute path"),
  v.check(
    (path) => path !== "/" && !/\/(?:\.{1,2})?(?:\/|$)/.test(path),
    "holds //, /./ or /../, or ends in /",
  ),
);
const Directory = v.pipe(Text, v.startsWith("/", "is not an absolute path"));
const pattern = (expression: RegExp, message: string) => v.pipe(v.string(), v.regex(expression, message));
const OperatorPattern = pattern(/^[A-Za-z0-9._+@*?-]{1,64}$/, "is not an operator's name or a glob of names");
const UserPattern = pattern(/^[A-Za-z0-9_.*?-]{1,32}\$?$/, "is not a user's name or a glob of names");
const AccountName = pattern(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/, "is not the name of a user or group");
const VariablePattern = pattern(/^[A-Za-z0-9_*?]{1,128}$/, "is not a variable's name or a glob of names");
const Variables = v.record(
  v.pipe(
    pattern(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a variable's name"),
    v.check(isPassable, "is a variable that shells keep for themselves"),
  ),
  v.pipe(Text, v.maxLength(64 * 1024, "is longer than 65536 characters")),
);
const list = <S extends v.GenericSchema>(item: S) =>
  v.pipe(v.array(item), v.maxLength(1_000, "has more than 1000 entries"));

const AllowedCommand = v.strictObject({
  command: AbsolutePath,
  arguments: v.optional(Arguments, []),
});

const Limits = v.strictObject({
  cpu: v.optional(Cpus),
  memory: v.optional(ByteSize),
  processes: v.optional(Count),
  openFiles: v.optional(Count),
  jobs: v.optional(Count),
  sessions: v.optional(Count),
  idle: v.optional(Duration),
  time: v.optional(Duration),
  output: v.optional(ByteSize),
});

const File = v.strictObject({
  description: v.optional(v.pipe(v.string(), v.maxLength(1_000, "is longer than 1000 characters"))),
  operators: v.optional(list(OperatorPattern)),
  shell: v.optional(AbsolutePath),
  command: v.optional(v.pipe(list(Text), v.minLength(1, "must not be empty"))),
  user: v.optional(AccountName),
  users: v.optional(list(UserPattern), []),
  groups: v.optional(list(AccountName)),
  cwd: v.optional(Directory),
  env: v.optional(Variables, {}),
  acceptEnv: v.optional(list(VariablePattern)),
  allow: v.optional(v.pipe(list(AllowedCommand), v.minLength(1, "must not be empty"))),
  limits: v.optional(Limits, {}),
});

export type ConfigurationText =
  | { readonly configuration: Configuration }
  | { readonly problems: readonly DocumentProblem[] };

export function readConfiguration(name: string, text: string): ConfigurationText {
  // An empty file is a configuration without anything special.
  const read = readDocument(isBlank(text) ? "{}" : text, File);
  if ("problems" in read) return read;
  const { document } = read;
  const { limits, ...rest } = document.value;
  const problems: DocumentProblem[] = [];
  if (rest.shell !== undefined && rest.command !== undefined) {
    problems.push(
      document.problem(["command"], "command stands in place of a shell: there can be only one of the two"),
    );
  }
  if (rest.command !== undefined && !rest.command[0]!.startsWith("/")) {
    problems.push(document.problem(["command", 0], "command must begin with an absolute path"));
  }
  if (rest.allow !== undefined && (rest.shell !== undefined || rest.command !== undefined)) {
    const key = rest.shell === undefined ? "command" : "shell";
    problems.push(
      document.problem(
        [key],
        `${key} is for sessions, and a configuration with allow has none: it runs what it allows, and no shell`,
      ),
    );
  }
  if (problems.length > 0) return { problems };
  const {
    cpu: cpus,
    memory: memoryBytes,
    idle: idleMs,
    time: timeMs,
    output: outputBytes,
    ...counts
  } = limits;
  return {
    configuration: {
      name,
      ...rest,
      limits: { cpus, memoryBytes, idleMs, timeMs, outputBytes, ...counts },
    },
  };
}

function isBlank(text: string): boolean {
  return text.split("\n").every((line) => /^\s*(?:#|$)/.test(line));
}

/** @throws OutpostError `invalid_argument`; `data.problems` are `DocumentProblem`s */
export function parseConfiguration(name: string, text: string, file: string): Configuration {
  const read = readConfiguration(name, text);
  if ("configuration" in read) return read.configuration;
  const [{ line, column, message }] = read.problems as [DocumentProblem, ...DocumentProblem[]];
  const more = read.problems.length === 1 ? "" : ` (and ${String(read.problems.length - 1)} more)`;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${file}:${String(line)}:${String(column)}: ${message}${more}`,
    { data: { file, problems: read.problems } },
  );
}
