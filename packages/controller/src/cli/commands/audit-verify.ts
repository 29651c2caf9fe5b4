/** `outpost audit verify`. */
import type { AuditVerification } from "@outpost/protocol";
import { defineCommand, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

/** As of grep(1) and others: looked, and found. */
const foundProblems = 1;

export const auditVerify = defineCommand({
  name: "audit verify",
  usage: ["audit verify"],
  description:
    "Verify the controller's audit log: each line holds the SHA-256 of the one before it, so that a line that was edited, " +
    "taken out or put in is found. Whoever can write the log can make all of it anew: note the head elsewhere, from time to " +
    "time, and compare. For a host's own log: `outpost-agent audit verify`.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost audit verify", ""],
    ["outpost audit verify --output json", "its `head`, to be kept elsewhere"],
  ],
  epilogue: "Exit codes: 0 nothing is wrong, 1 something is.",
  run: async ({ options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const found = await client.administration.verifyAudit();
      await print(options.output, { json: found, text: () => asText(found) });
      return found.problems.length === 0 ? 0 : foundProblems;
    });
  },
});

function asText({ entries, first, last, head, problems }: AuditVerification): string {
  const range =
    entries === 0 ? "no lines" : `${String(entries)} lines, #${String(first)} to #${String(last)}`;
  if (problems.length === 0) return `${range}: none was edited, taken out or put in\nhead: ${head}`;
  return [
    ...problems.map(({ file, line, message }) => `${file}:${String(line)}: ${message}`),
    `${range}: ${problems.length === 1 ? "one problem" : `${String(problems.length)} problems`}`,
  ].join("\n");
}
