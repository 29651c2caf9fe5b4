/**
 * The commands that a configuration allows. They are executed without a shell and by the path that is written here:
 * no PATH is searched, no link is followed to see whether it leads to an allowed program.
 */
import { basename } from "node:path";
import { type ArgumentItem, itemText, matchArguments } from "./argument-pattern.ts";

export interface AllowedCommand {
  /** Absolute. */
  readonly command: string;
  /** Default: no arguments at all. */
  readonly arguments: readonly ArgumentItem[];
}

export type Allowance =
  | { readonly allowed: true; /** What is to be executed. */ readonly argv: readonly string[] }
  | { readonly allowed: false; /** The end of a sentence. */ readonly reason: string };

/** Whether an argument vector is allowed; its first word is the path of an entry, or the last part of one. */
export function findAllowed(list: readonly AllowedCommand[], argv: readonly string[]): Allowance {
  const [name = "", ...given] = argv;
  const named = list.filter(({ command }) => command === name || basename(command) === name);
  if (named.length === 0) {
    const why = name.includes("/") ? "; a path must be the one that is allowed, letter by letter" : "";
    return refused(`${JSON.stringify(name)} is none of the commands that it allows${why}`);
  }
  const paths = [...new Set(named.map(({ command }) => command))];
  if (paths.length > 1) return refused(`${name} may be ${paths.join(" or ")}; give the whole path`);
  const entry = named.find((each) => matchArguments(each.arguments, given));
  if (entry !== undefined) return { allowed: true, argv: [entry.command, ...given] };
  return refused(
    `these arguments of ${paths[0]!} are not allowed; allowed is: ${named.map(commandText).join("; ")}`,
  );
}

function refused(reason: string): Allowance {
  return { allowed: false, reason };
}

/** As a person may read it. */
export function commandText({ command, arguments: items }: AllowedCommand): string {
  return [command, ...items.map(itemText)].join(" ");
}
