/** `outpost doctor`: asks everything in its order, and shows each answer as it comes. */
import { isatty } from "node:tty";
import {
  conclusion,
  type Check,
  examine,
  exitCodeOf,
  type Finding,
  findingText,
  isShown,
  styleOf,
} from "@outpost/service/doctor";
import { controllerDirectory } from "../controller-directory.ts";
import type { OutputFormat } from "../command.ts";
import { printableLines } from "../render/printable.ts";
import { print } from "../render/records.ts";
import { stdout } from "../render/sink.ts";
import { controllerChecks, policyChecks } from "./controller-checks.ts";
import { hostChecks } from "./host-checks.ts";
import { isControllerHere, localChecks } from "./local-checks.ts";
import { operatorChecks } from "./operator-checks.ts";
import { Patient } from "./patient.ts";
import { roundTripChecks } from "./round-trip.ts";

/** @param targets where the job is to run. @returns the exit code */
export async function diagnose(targets: string | undefined, format: OutputFormat): Promise<number> {
  await using patient = new Patient(targets);
  const directory = controllerDirectory(undefined);
  const checks: Check[] = [
    ...(isControllerHere(directory) ? localChecks(directory) : []),
    ...operatorChecks(patient),
    ...controllerChecks(patient),
    ...hostChecks(patient),
    ...policyChecks(patient),
    ...roundTripChecks(patient),
  ];
  const width = Math.max(...checks.map(({ name }) => name.length));
  const style = styleOf(isatty(1), process.env);
  const findings: Finding[] = [];
  for await (const finding of examine(checks)) {
    findings.push(finding);
    if (format === "text" && isShown(finding)) await stdout.write(`${shown(finding, style, width)}\n`);
  }
  const exitCode = exitCodeOf(findings);
  await print(format, {
    json: { healthy: exitCode === 0, findings },
    records: findings,
    text: () => `\n${conclusion(findings)}`,
  });
  return exitCode;
}

/** Names and messages come from others; colours are ours, and go around them. */
function shown(finding: Finding, style: ReturnType<typeof styleOf>, width: number): string {
  const { advice } = finding;
  const clean = {
    ...finding,
    message: printableLines(finding.message),
    ...(advice === undefined ? {} : { advice: printableLines(advice) }),
  };
  return findingText(clean, style, width);
}
