/** `outpost-agent audit verify`. Reads the files; the agent may be at work on them. */
import { verifyAuditLog } from "@outpost/access";
import type { AuditVerification } from "@outpost/protocol";
import { agentPaths } from "../directory.ts";
import { ExitCode } from "./exit-code.ts";
import { print } from "./output.ts";
import { foundProblems } from "./policy-check.ts";

export interface AuditVerifyOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

export async function auditVerify({ dir, output }: AuditVerifyOptions): Promise<number> {
  const found = await verifyAuditLog(agentPaths(dir).audit);
  await print(output, found, asText(found));
  return found.problems.length === 0 ? ExitCode.ok : foundProblems;
}

function asText({ entries, first, last, head, problems }: AuditVerification): string {
  const range =
    entries === 0 ? "no lines" : `${String(entries)} lines, #${String(first)} to #${String(last)}`;
  if (problems.length === 0) return `${range}: none was edited, taken out or put in\nhead: ${head}`;
  return [
    ...problems.map(({ file, line, message }) => `${file}:${String(line)}: ${message}`),
    `${range}: ${problems.length === 1 ? "one problem" : `${String(problems.length)} problems`}`,
  ].join("\n");
}
