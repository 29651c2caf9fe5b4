/** Finds the program that a job runs, so that a job that cannot start says what was looked for, and where. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";

/** Longer `#!` lines are cut by the kernel itself (Linux: 256 bytes). */
const maxInterpreterLineBytes = 256;

/**
 * Where `execvp` would find the program, as an absolute path.
 * @throws OutpostError `start_failed` in words for a person
 */
export function findProgram(argv: readonly string[], path: string, cwd: string): string {
  try {
    return find(argv[0]!, path, cwd);
  } catch (error) {
    // One word with spaces is most likely a whole command line.
    if (argv.length > 1 || !/\S\s+\S/.test(argv[0]!)) throw error;
    const { message } = OutpostError.from(error);
    throw failed(`${message}; to run it as shell text use -c, or give its arguments as words of their own`);
  }
}

function find(name: string, path: string, cwd: string): string {
  if (name.includes("/")) return checkProgram(name, resolve(cwd, name));
  for (const directory of path.split(":")) {
    const candidate = join(isAbsolute(directory) ? directory : resolve(cwd, directory), name);
    if (name !== "" && isExecutable(candidate)) return candidate;
  }
  throw failed(`no program '${name}' in ${path}`);
}

/** Why a program that the shell could not execute (its exit codes 126 and 127) did not start; `undefined` when it did. */
export function explainNotStarted(program: string): string | undefined {
  try {
    checkProgram(program, program);
  } catch (error) {
    return OutpostError.from(error).message;
  }
  const interpreter = interpreterOf(program);
  if (interpreter === undefined || isExecutable(interpreter)) return undefined;
  return `'${program}' asks for the interpreter '${interpreter}', which is not there or cannot be executed`;
}

function checkProgram(name: string, path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw failed(`there is no program '${name}'`);
  if (found.isDirectory()) throw failed(`'${name}' is a directory, not a program`);
  if (!isExecutable(path)) throw failed(`'${name}' is not executable`);
  return path;
}

function isExecutable(path: string): boolean {
  // Most directories of a PATH do not have it, and that must not cost an exception each.
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function interpreterOf(program: string): string | undefined {
  const line = Buffer.alloc(maxInterpreterLineBytes);
  const file = openSync(program, "r");
  try {
    const length = readSync(file, line, 0, line.length, 0);
    return /^#![ \t]*([^ \t\n]+)/.exec(line.toString("latin1", 0, length))?.[1];
  } finally {
    closeSync(file);
  }
}

function failed(message: string): OutpostError {
  return new OutpostError(ErrorCode.startFailed, message);
}
