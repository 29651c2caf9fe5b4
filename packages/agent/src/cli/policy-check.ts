/** `outpost-agent policy check`. */
import { readFile } from "node:fs/promises";
import { checkPolicy } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { agentPaths } from "../directory.ts";
import { ExitCode } from "./exit-code.ts";
import { print } from "./output.ts";

export interface PolicyCheckOptions {
  readonly dir: string;
  readonly file?: string | undefined;
  readonly output: "text" | "json";
}

/** As of grep(1) and others: looked, and found. */
export const foundProblems = 1;

/** @throws OutpostError when the file cannot be read */
export async function policyCheck({ dir, file, output }: PolicyCheckOptions): Promise<number> {
  const path = file ?? agentPaths(dir).policy;
  const text = await read(path);
  if (text === undefined && file === undefined) {
    const none = `there is no ${path}: this host allows whatever its controller lets through`;
    await print(output, { file: path, problems: [] }, none);
    return ExitCode.ok;
  }
  if (text === undefined) throw new OutpostError(ErrorCode.notFound, `there is no file ${path}`);
  const problems = checkPolicy(text);
  const lines = problems.map(
    ({ line, column, message }) => `${path}:${String(line)}:${String(column)}: ${message}`,
  );
  const said = lines.length === 0 ? `${path}: nothing is wrong` : lines.join("\n");
  await print(output, { file: path, problems }, said);
  return problems.length === 0 ? ExitCode.ok : foundProblems;
}

/** `undefined` when it is not there. */
async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new OutpostError(ErrorCode.internal, `cannot read ${path}: ${String(code)}`, { cause: error });
  }
}
