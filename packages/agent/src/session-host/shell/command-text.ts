/** A job's command as text that a session's shell reads. */
import { ErrorCode, OutpostError, type Command } from "@outpost/protocol";
import { quote } from "./quote.ts";

/**
 * Text to be sourced: the content of a job's `command` file.
 *
 * An argument vector is run exactly as it is: every word is quoted, so none is an alias, a keyword, an assignment or a
 * pattern. Its first may still be a builtin or a function of the shell (`cd`): it is the session's shell that is asked.
 * A script is run by its own `#!` line, as a child of the shell.
 * @param scriptPath where a script's body was written, absolute and executable; required for a script
 * @throws OutpostError `internal` when it is missing
 */
export function sessionCommandText(command: Command, scriptPath?: string): string {
  switch (command.kind) {
    case "exec":
      return line(command.argv);
    case "shell":
      // The newline ends a comment, and a last line that a shell would not read without one.
      return `${command.text}\n`;
    case "script":
      if (scriptPath === undefined) {
        throw new OutpostError(
          ErrorCode.internal,
          "a script was to be run without having been written to a file",
        );
      }
      return line([scriptPath, ...command.args]);
    case "put":
    case "get":
      throw new OutpostError(ErrorCode.invalidArgument, "files are not copied in a session");
    default:
      return command satisfies never;
  }
}

function line(words: readonly string[]): string {
  return `${words.map(quote).join(" ")}\n`;
}
