/** `outpost-agent doctor`: whether this host works, and if not, what is wrong and what to do. */
import { isatty } from "node:tty";
import {
  type Check,
  conclusion,
  examine,
  exitCodeOf,
  type Finding,
  findingText,
  isShown,
  styleOf,
} from "@outpost/service/doctor";
import { agentPaths } from "../../directory.ts";
import { writeOut } from "../output.ts";
import { agentChecks } from "./agent-checks.ts";
import { identityChecks } from "./identity-checks.ts";
import { Patient } from "./patient.ts";
import { reachChecks } from "./reach-checks.ts";

export interface DoctorOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

/** @returns the exit code: 0 when nothing is wrong, else 1 */
export async function diagnose({ dir, output }: DoctorOptions): Promise<number> {
  const patient = new Patient(agentPaths(dir));
  const checks: Check[] = [...identityChecks(patient), ...agentChecks(patient), ...reachChecks(patient)];
  const width = Math.max(...checks.map(({ name }) => name.length));
  const style = styleOf(isatty(1), process.env);
  const findings: Finding[] = [];
  for await (const finding of examine(checks)) {
    findings.push(finding);
    if (output === "text" && isShown(finding))
      await writeOut("stdout", `${findingText(finding, style, width)}\n`);
  }
  const exitCode = exitCodeOf(findings);
  const document = { healthy: exitCode === 0, findings };
  const last = output === "json" ? JSON.stringify(document, undefined, 2) : `\n${conclusion(findings)}`;
  await writeOut("stdout", `${last}\n`);
  return exitCode;
}
