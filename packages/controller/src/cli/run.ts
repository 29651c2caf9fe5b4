/** From words to a command, and from how it went to an exit code. */
import { readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commands, groups } from "./commands/index.ts";
import { isBrokenPipe, stdout } from "./render/sink.ts";
import { UsageError } from "./usage-error.ts";

/** What a shell says of a program that SIGPIPE ended. */
const brokenPipeExitCode = 141;

/** Runs `outpost` with these arguments and sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    process.exitCode = await run(args);
  } catch (error) {
    if (isBrokenPipe(error)) {
      process.exitCode = brokenPipeExitCode;
      return;
    }
    const { reportFailure } = await import("./failure.ts");
    process.exitCode = await reportFailure(error, args);
  }
}

async function run(args: readonly string[]): Promise<number> {
  const [first, second] = args;
  if (first === undefined) throw new UsageError(`what to do? One of: ${visible("").join(", ")}`);
  if (first === "--version") {
    const { version } = await import("../client/version.ts");
    await stdout.write(`${version}\n`);
    return 0;
  }
  if (first === "--help" || first === "-h") return showGroup("");
  const entry = commands[first];
  if (entry !== undefined && Object.hasOwn(commands, first))
    return runCommand(await entry.load(), args.slice(1));
  if (Object.hasOwn(groups, first)) {
    if (second === "--help" || second === "-h") return showGroup(first);
    const found = commands[`${first} ${second ?? ""}`];
    if (found !== undefined) return runCommand(await found.load(), args.slice(2));
  }
  const { unknownCommand } = await import("./unknown-command.ts");
  throw unknownCommand(args, visible);
}

async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const parsed = await readArguments(command, args);
  if (parsed !== undefined) return command.execute(parsed);
  const { commandHelp } = await import("./help.ts");
  await stdout.write(`${await commandHelp(command)}\n`);
  return 0;
}

/** The words that can follow `group`; all first words for the empty group. */
function visible(group: string): readonly string[] {
  const names = Object.entries(commands).flatMap(([name, { hidden }]) => (hidden === true ? [] : [name]));
  if (group === "") return [...new Set(names.map((name) => name.split(" ")[0]!))];
  return names.filter((name) => name.startsWith(`${group} `)).map((name) => name.slice(group.length + 1));
}

async function showGroup(group: string): Promise<number> {
  const { groupHelp } = await import("./help.ts");
  const entries = Object.entries(commands)
    .filter(([name, { hidden }]) => hidden !== true && (group === "" || name.startsWith(`${group} `)))
    .map(([name, { summary }]) => [name, summary] as const);
  const description =
    groups[group] ??
    "Run commands on one host or on all of them. Every command is a job that belongs to its host and keeps its output until it is received.";
  const epilogue =
    group === ""
      ? "outpost COMMAND --help shows examples. outpost --version. Exit codes: outpost invoke --help."
      : `outpost ${group} COMMAND --help shows examples.`;
  await stdout.write(`${await groupHelp(group, description, entries, epilogue)}\n`);
  return 0;
}
