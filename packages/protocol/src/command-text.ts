/** A command as a person would write it: for lists of jobs. */
import type { Command } from "./messages/job.ts";

const maxTextLength = 120;

/** On one line, and at most 120 characters. */
export function commandText(command: Command): string {
  switch (command.kind) {
    case "exec":
      return shorten(command.argv.map(quote).join(" "));
    case "shell":
      return shorten(command.text);
    case "script":
      return shorten([command.name, ...command.args.map(quote)].join(" "));
    case "put":
      return shorten(`put files at ${quote(command.path)}`);
    case "get":
      return shorten(`get files ${command.paths.map(quote).join(" ")}`);
    default:
      return command satisfies never;
  }
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function shorten(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ");
  return line.length <= maxTextLength ? line : `${line.slice(0, maxTextLength - 1)}…`;
}
