/** The hosts that expressions mean, by name. The controller is asked for those that it takes hosts to understand. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { compareNames, expand, isPlainSet, parse, withGroups } from "@outpost/protocol/targets";
import { groupsHere } from "../client/written-out.ts";
import { withClient } from "./with-client.ts";

/** Longer input is no list of hosts, in bytes. */
const maxInputBytes = 64 * 1024 * 1024;

/** @param given expressions; `-` stands for those of standard input @param isAll whether all hosts are meant besides */
export async function namesOf(given: readonly string[], isAll: boolean): Promise<readonly string[]> {
  const expressions = isAll ? ["*"] : [];
  for (const expression of given) {
    if (expression === "-") expressions.push(...(await readExpressions()));
    else expressions.push(expression);
  }
  const names = new Set<string>();
  const questions: string[] = [];
  const groups = await groupsHere();
  for (const expression of expressions) {
    const written = await withGroups(expression, (group) => groups.resolve(group));
    if (isPlainSet(parse(written, { local: true }))) for (const name of expand(written)) names.add(name);
    else questions.push(written);
  }
  if (questions.length > 0) for (const name of await asked(questions)) names.add(name);
  return [...names].sort(compareNames);
}

async function asked(expressions: readonly string[]): Promise<readonly string[]> {
  return withClient(async (client) => {
    const found: string[] = [];
    for (const expression of expressions) {
      found.push(...(await client.hosts(expression)).map(({ name }) => name));
    }
    return found;
  });
}

async function readExpressions(): Promise<readonly string[]> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin as AsyncIterable<string>) {
    text += chunk;
    if (text.length > maxInputBytes) {
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `standard input is longer than ${String(maxInputBytes)} bytes`,
      );
    }
  }
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .flatMap((line) => (isList(line) ? line.split(/\s+/) : [line]));
}

/** For programs: whatever separates them stays as it is, also a tab or a zero, and there behind the last of them. */
export async function writeSeparated(parts: readonly string[], separator: string): Promise<void> {
  if (parts.length === 0) return;
  const { stdout } = await import("./render/sink.ts");
  await stdout.write(`${parts.join(separator)}${separator === "\0" ? separator : "\n"}`);
}

/** Names and patterns with nothing but blanks between them, as `nodeset` reads them. */
function isList(line: string): boolean {
  return line
    .split(/\s+/)
    .every((word) => /^[a-z0-9*?[][a-z0-9._*?[\],/-]*$/.test(word) && !/^(?:and|or|not)$/.test(word));
}
