/**
 * Reads the arguments of a command. `node:util` does, because loading yargs costs as much time as everything else that a
 * short command does; yargs explains what is wrong (`explain.ts`) and writes the help (`help.ts`).
 */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { type Command, type ParsedArguments, positionalsOf } from "./command.ts";
import { quote } from "./quote.ts";
import { UsageError } from "./usage-error.ts";

/** `undefined`: help was asked for. */
export async function readArguments(
  command: Command,
  args: readonly string[],
): Promise<ParsedArguments | undefined> {
  const at = args.indexOf("--");
  const before = at === -1 ? args : args.slice(0, at);
  const rest = at === -1 ? undefined : args.slice(at + 1);
  if (before.includes("--help") || before.includes("-h")) return undefined;
  const parsed = await parse(command, before, rest);
  checkRest(command, rest);
  checkPositionals(command, parsed);
  return { ...parsed, rest };
}

async function parse(
  command: Command,
  before: readonly string[],
  rest: readonly string[] | undefined,
): Promise<Omit<ParsedArguments, "rest">> {
  let parsed;
  try {
    parsed = parseArgs({ args: [...before], options: optionsConfig(command), allowPositionals: true });
  } catch (error) {
    checkMissingDashes(command, before, rest);
    const { explain } = await import("./explain.ts");
    throw await explain(command, before, error);
  }
  const wanted = positionalsOf(command, (option) => Object.hasOwn(parsed.values, option));
  if (parsed.positionals.length > wanted.length) checkMissingDashes(command, before, rest);
  const given = new Map<string, readonly string[]>();
  for (const [name, texts] of Object.entries(parsed.values)) {
    const all = (texts as (string | boolean)[]).map(String);
    if (all.length > 1 && command.options[name]?.kind === "value") {
      throw new UsageError(`--${name} is given more than once`, command.name);
    }
    given.set(name, all);
  }
  return { positionals: parsed.positionals, given };
}

/** Everything may come several times here, so that `parse` can say what must not. */
function optionsConfig({ options }: Command): ParseArgsOptionsConfig {
  return Object.fromEntries(
    Object.entries(options).map(([name, { kind, short }]) => [
      name,
      {
        type: kind === "flag" ? "boolean" : "string",
        multiple: true,
        ...(short === undefined ? {} : { short }),
      } as const,
    ]),
  );
}

function checkRest({ name, takesRest }: Command, rest: readonly string[] | undefined): void {
  if (rest !== undefined && takesRest !== true) {
    throw new UsageError(`outpost ${name} takes nothing behind --`, name);
  }
}

function checkPositionals(
  command: Command,
  { positionals: given, given: options }: Omit<ParsedArguments, "rest">,
): void {
  const { name } = command;
  const positionals = positionalsOf(command, (option) => options.has(option));
  const missing = positionals[given.length];
  const isOptional =
    missing?.optional === true || missing?.unless?.some((option) => options.has(option)) === true;
  if (missing !== undefined && !isOptional) {
    throw new UsageError(`${missing.name} is missing: ${missing.describe}`, name);
  }
  const extra = given[positionals.length];
  if (extra !== undefined && positionals.at(-1)?.several !== true) {
    const isExpression = positionals.at(-1)?.name === "TARGETS";
    const hint = isExpression
      ? `; several hosts are one expression: ${given.slice(positionals.length - 1).join(",")}`
      : "";
    throw new UsageError(`there is nothing that ${JSON.stringify(extra)} could be${hint}`, name);
  }
  const empty = given.findIndex((text) => text.trim() === "");
  if (empty !== -1) {
    const { name: what, describe } = positionals[Math.min(empty, positionals.length - 1)]!;
    throw new UsageError(`${what} is empty: ${describe}`, name);
  }
}

/** `invoke web1 ls -l` and `invoke web1 'ls -l'`: says how they are meant. @throws UsageError if that is what it is */
function checkMissingDashes(
  command: Command,
  before: readonly string[],
  rest: readonly string[] | undefined,
): void {
  if (command.takesRest !== true || rest !== undefined) return;
  const { tokens } = parseArgs({
    args: [...before],
    options: optionsConfig(command),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const wanted = positionalsOf(command, (option) =>
    tokens.some((token) => token.kind === "option" && token.name === option),
  );
  const extra = tokens.filter(({ kind }) => kind === "positional")[wanted.length];
  if (extra === undefined) return;
  const isTypo = tokens.some(
    (token) =>
      token.kind === "option" && token.index < extra.index && !Object.hasOwn(command.options, token.name),
  );
  if (isTypo) return;
  const head = ["outpost", command.name, ...before.slice(0, extra.index).map(quote)].join(" ");
  const tail = before.slice(extra.index);
  const isLine = tail.length === 1 && /\s/.test(tail[0]!);
  const meant = isLine ? `${head} -c ${quote(tail[0]!)}` : `${head} -- ${tail.map(quote).join(" ")}`;
  const what = isLine ? "shell text comes behind -c" : "the command to run comes behind --";
  throw new UsageError(`${what}. Did you mean: ${meant}`, command.name);
}
