/** `--help`, from the commands' tables, laid out by yargs. */
import yargs, { type Argv } from "yargs";
import type { Command, Option } from "./command.ts";
import { terminalColumns } from "./render/terminal.ts";

/** No wider than this, in columns: long lines are hard to read. */
const maxColumns = 110;

function helpColumns(): number {
  return Math.min(maxColumns, terminalColumns() ?? 100);
}

/** yargs as it would read this command. */
export function commandLine(command: Command, args: readonly string[]): Argv {
  const pattern = command.positionals
    .map(({ name, optional, several, unless, when }) => {
      const word = several === true ? `${name}..` : name;
      return optional === true || unless !== undefined || when !== undefined ? `[${word}]` : `<${word}>`;
    })
    .join(" ");
  return base(args, `outpost ${command.name}`)
    .usage([...command.usage.map((line) => `outpost ${line}`), "", command.description].join("\n"))
    .command(
      `$0 ${pattern}`.trim(),
      false,
      (argv) => withOptions(argv, command),
      () => {},
    );
}

/** @param columns how wide it may be */
export function commandHelp(command: Command, columns = helpColumns()): Promise<string> {
  const argv = withOptions(base([], `outpost ${command.name}`).wrap(columns), command).usage(
    [...command.usage.map((line) => `outpost ${line}`), "", command.description].join("\n"),
  );
  const epilogue = [positionalsText(command), command.epilogue].filter((text) => text !== undefined);
  return argv.epilogue(epilogue.join("\n\n")).getHelp();
}

/** @param entries the commands, each with what it is for */
export function groupHelp(
  name: string,
  description: string,
  entries: readonly (readonly [command: string, summary: string])[],
  epilogue: string,
): Promise<string> {
  const width = Math.max(...entries.map(([command]) => command.length)) + 2;
  const lines = entries.map(([command, summary]) => `  ${command.padEnd(width)}${summary}`);
  const script = name === "" ? "outpost" : `outpost ${name}`;
  return base([], script)
    .usage(`${script} COMMAND\n\n${description}\n\nCommands:\n${lines.join("\n")}`)
    .epilogue(epilogue)
    .getHelp();
}

function base(args: readonly string[], scriptName: string): Argv {
  return yargs([...args])
    .scriptName(scriptName)
    .locale("en")
    .version(false)
    .help()
    .alias("help", "h")
    .wrap(helpColumns())
    .exitProcess(false);
}

function withOptions(argv: Argv, { options, examples }: Command): Argv {
  let built = argv;
  for (const [name, option] of Object.entries(options)) built = built.option(name, yargsOption(option));
  for (const [command, what] of examples)
    built = built.example(what === "" ? command : `${command}    # ${what}`, "");
  return built;
}

function yargsOption({ kind, describe, short, choices, defaultText, group }: Option<unknown>) {
  return {
    ...(group === undefined ? {} : { group: `${group}:` }),
    describe: defaultText === undefined ? describe : `${describe} [default: ${defaultText}]`,
    ...(kind === "flag" ? { type: "boolean" as const } : { type: "string" as const, requiresArg: true }),
    ...(kind === "list" ? { array: true, nargs: 1 } : {}),
    ...(short === undefined ? {} : { alias: short }),
    ...(choices === undefined ? {} : { choices }),
  };
}

function positionalsText({ positionals }: Command): string | undefined {
  if (positionals.length === 0) return undefined;
  return positionals.map(({ name, describe }) => `${name}: ${describe}`).join("\n");
}
