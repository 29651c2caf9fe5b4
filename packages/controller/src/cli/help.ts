/** `--help`, from the commands' tables, laid out by yargs. */
import yargs, { type Argv } from "yargs";
import type { Command } from "./command.ts";
import { terminalColumns } from "./render/terminal.ts";

/** No wider than this, in columns: long lines are hard to read. */
const maxColumns = 110;

function helpColumns(): number {
  return Math.min(maxColumns, terminalColumns() ?? 80);
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
export async function commandHelp(command: Command, columns = helpColumns()): Promise<string> {
  const argv = withShownOptions(base([], `outpost ${command.name}`).wrap(columns), command).usage(
    [...command.usage.map((line) => `outpost ${line}`), "", command.description].join("\n"),
  );
  const options = await argv.getHelp();
  const about = [positionalsText(command), command.epilogue].filter((text) => text !== undefined);
  const epilogue = about.map((text) =>
    text
      .split("\n")
      .map((line) => wrapped(line, columns))
      .join("\n"),
  );
  return [options, examplesText(command, columns), ...epilogue].join("\n\n");
}

/** Commands as they are to be typed, never broken; what they do stands behind them, or above where that has no room. */
function examplesText({ examples }: Command, columns: number): string {
  const behind = examples.map(([command, what]) => `  ${command}${what === "" ? "" : `    # ${what}`}`);
  const above = examples.flatMap(([command, what]) => {
    return [...(what === "" ? [] : [wrapped(what, columns, "  # ")]), `  ${command}`];
  });
  const fits = behind.every((line, at) => line.length <= columns || examples[at]![1] === "");
  return ["Examples:", ...(fits ? behind : above)].join("\n");
}

/** @param indent before each line */
function wrapped(text: string, columns: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && indent.length + longer.length > columns) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line].map((each) => indent + each).join("\n");
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
  return withHelpShown(base([], script))
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

/** As they are read. */
function withOptions(argv: Argv, { options }: Command): Argv {
  let built = argv;
  for (const [name, { kind, short, choices }] of Object.entries(options)) {
    built = built.option(name, {
      ...(kind === "flag" ? { type: "boolean" as const } : { type: "string" as const, requiresArg: true }),
      ...(kind === "list" ? { array: true, nargs: 1 } : {}),
      ...(short === undefined ? {} : { alias: short }),
      ...(choices === undefined ? {} : { choices }),
    });
  }
  return built;
}

/** As the others: yargs would say that it is a boolean. */
function withHelpShown(argv: Argv): Argv {
  return argv.help(false).option("help", { alias: "h", describe: "Show help" });
}

/** As they are shown: `--canary N|N%`. To yargs that is their name, and nothing is read with it. */
function withShownOptions(argv: Argv, { options }: Command): Argv {
  let built = withHelpShown(argv);
  for (const [name, option] of Object.entries(options)) {
    const { kind, describe, short, argument = "TEXT", defaultText, group } = option;
    built = built.option(kind === "flag" ? name : `${name} ${argument}`, {
      ...(group === undefined ? {} : { group: `${group}:` }),
      describe: defaultText === undefined ? describe : `${describe} [default: ${defaultText}]`,
      ...(short === undefined ? {} : { alias: short }),
    });
  }
  return built;
}

function positionalsText({ positionals }: Command): string | undefined {
  if (positionals.length === 0) return undefined;
  return positionals.map(({ name, describe }) => `${name}: ${describe}`).join("\n");
}
