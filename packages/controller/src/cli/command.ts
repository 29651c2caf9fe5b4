/**
 * What a command is: its words, options and examples as a table, and the function that does it. The table is read three
 * times: to parse the arguments, to explain them (`--help`, typos) and to complete them in a shell.
 */
import { UsageError } from "./usage-error.ts";

/** What a shell can complete a word with. */
export type Completion =
  | "targets"
  | "hosts"
  | "jobs"
  | "sessions"
  | "operators"
  | "tokens"
  | "contexts"
  | "files"
  | "directories"
  | undefined;

interface Shape {
  readonly describe: string;
  /** What stands for its value in the help, e.g. `DURATION`. */
  readonly argument?: string;
  readonly short?: string;
  readonly choices?: readonly string[];
  /** The default, in words. */
  readonly defaultText?: string;
  readonly complete?: Completion;
  /** The heading that it stands under in the help, e.g. `Roll-outs`. */
  readonly group?: string;
  /** True: what was given may hold a secret, and stands in no message. */
  readonly sensitive?: boolean;
}

/** An option that becomes a `T`. */
export interface Option<T> extends Shape {
  readonly kind: "flag" | "value" | "list";
  /** From what was given, every time it was given. @throws Error without the option's name */
  readonly read: (given: readonly string[]) => T;
}

export function flag(describe: string): Option<boolean> {
  return { kind: "flag", describe, read: (given) => given.length > 0 };
}

/** An option with one value. Without `parse`, its text. */
export function value(describe: string, shape: Omit<Shape, "describe">): Option<string | undefined>;
export function value<T>(
  describe: string,
  shape: Omit<Shape, "describe"> & { readonly parse: (text: string) => T },
): Option<T | undefined>;
export function value<T>(
  describe: string,
  { parse, ...shape }: Omit<Shape, "describe"> & { readonly parse?: (text: string) => T },
): Option<T | string | undefined> {
  return {
    kind: "value",
    describe,
    ...shape,
    read: ([text]) => (text === undefined || parse === undefined ? text : parse(text)),
  };
}

/** An option that may be given several times. */
export function list<T = string>(
  describe: string,
  shape: Omit<Shape, "describe"> & { readonly parse?: (text: string) => T },
): Option<readonly T[]> {
  const { parse, ...rest } = shape;
  return {
    kind: "list",
    describe: `${describe}; may be repeated`,
    ...rest,
    read: (given) => (parse === undefined ? (given as readonly T[]) : given.map(parse)),
  };
}

/** One of several words; the first of them when it is not given. */
export function choice<const T extends string>(describe: string, choices: readonly [T, ...T[]]): Option<T> {
  return {
    kind: "value",
    describe,
    choices,
    argument: choices.join("|"),
    defaultText: choices[0],
    read: ([text = choices[0]]) => {
      const found = choices.find((each) => each === text);
      if (found === undefined) throw new Error(`is none of ${choices.join(", ")}`);
      return found;
    },
  };
}

export type Options = Readonly<Record<string, Option<unknown>>>;
type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

export interface Positional {
  /** In the help, e.g. `TARGETS`. */
  readonly name: string;
  readonly describe: string;
  readonly optional?: boolean;
  /** True, of the last one: there may be more of them. */
  readonly several?: boolean;
  /** It may be left out when one of these options is given. */
  readonly unless?: readonly string[];
  /** There is such a word only when this option is given. */
  readonly when?: string;
  readonly choices?: readonly string[];
  readonly complete?: Completion;
}

export interface Given<O extends Options> {
  readonly positionals: readonly string[];
  readonly options: Values<O>;
  /** What stands behind `--`, untouched; `undefined` without `--`. */
  readonly rest: readonly string[] | undefined;
}

export interface CommandDefinition<O extends Options> {
  /** Its words, e.g. `job receive`. */
  readonly name: string;
  /** How it is called, each a line of the help; `outpost` is put before it. */
  readonly usage: readonly string[];
  readonly description: string;
  readonly positionals: readonly Positional[];
  readonly options: O;
  /** True: an argument vector may follow behind `--`. */
  readonly takesRest?: boolean;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly epilogue?: string;
  /** Does it. @returns the exit code */
  readonly run: (given: Given<O>) => Promise<number>;
}

/** A command whose options have been forgotten by the types. */
export interface Command extends Omit<CommandDefinition<Options>, "run"> {
  /** @throws UsageError, or what `run` throws */
  readonly execute: (arguments_: ParsedArguments) => Promise<number>;
}

export interface ParsedArguments {
  readonly positionals: readonly string[];
  readonly given: ReadonlyMap<string, readonly string[]>;
  readonly rest: readonly string[] | undefined;
}

/** The same options, under a heading of their own in the help. */
export function under<O extends Options>(group: string, options: O): O {
  const entries = Object.entries(options).map(([name, option]) => [name, { ...option, group }]);
  return Object.fromEntries(entries) as O;
}

/** The words that a command takes besides options, when these options are given. */
export function positionalsOf(
  { positionals }: Pick<CommandDefinition<Options>, "positionals">,
  isGiven: (option: string) => boolean,
): readonly Positional[] {
  return positionals.filter(({ when }) => when === undefined || isGiven(when));
}

export function defineCommand<O extends Options>(definition: CommandDefinition<O>): Command {
  const { run, ...shape } = definition;
  return {
    ...shape,
    execute: async ({ positionals, given, rest }) => {
      const options = readOptions(definition, given);
      return run({ positionals, options, rest });
    },
  };
}

function readOptions<O extends Options>(
  { name: command, options }: CommandDefinition<O>,
  given: ParsedArguments["given"],
): Values<O> {
  const entries = Object.entries(options).map(([name, option]) => {
    const texts = given.get(name) ?? [];
    try {
      return [name, option.read(texts)] as const;
    } catch (error) {
      const text = option.sensitive === true ? "what was given" : JSON.stringify(texts.at(-1) ?? "");
      throw new UsageError(
        `--${name}: ${text} ${error instanceof Error ? error.message : String(error)}`,
        command,
      );
    }
  });
  // Every name of `options` is there, with what its `read` returned.
  return Object.fromEntries(entries) as Values<O>;
}

/** On every command. */
export const outputOption = {
  output: choice("For people, or for programs: one JSON document, or one JSON object per line", [
    "text",
    "json",
    "ndjson",
  ]),
} as const;
export type OutputFormat = "text" | "json" | "ndjson";
