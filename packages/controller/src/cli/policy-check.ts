/** Checks a policy file on this machine. */
import { checkPolicy } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { OutputFormat } from "./command.ts";
import { readLocalText } from "./local-text.ts";
import { print } from "./render/records.ts";
import { unreadableText } from "./unreadable.ts";

/** As of grep(1) and others: looked, and found. */
const foundProblems = 1;

/** @param file `-`: standard input. @returns the exit code. @throws OutpostError `not_found` when it cannot be read */
export async function checkPolicyFile(file: string, format: OutputFormat): Promise<number> {
  const name = file === "-" ? "standard input" : file;
  const problems = checkPolicy(await read(file));
  const lines = problems.map(
    ({ line, column, message }) => `${name}:${String(line)}:${String(column)}: ${message}`,
  );
  await print(format, {
    json: { file, problems },
    records: problems.map((problem) => ({ file, ...problem })),
    text: () => (lines.length === 0 ? `${name}: nothing is wrong` : lines.join("\n")),
  });
  return problems.length === 0 ? 0 : foundProblems;
}

async function read(file: string): Promise<string> {
  try {
    return await readLocalText(file);
  } catch (cause) {
    throw new OutpostError(ErrorCode.notFound, `${file} ${unreadableText(cause)}`, { cause, data: { file } });
  }
}
