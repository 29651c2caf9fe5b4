/** `outpost-agent audit list`. Reads the files; the agent may be at work on them. */
import { listAuditLog } from "@outpost/access";
import { type AuditEntry, ErrorCode, OutpostError } from "@outpost/protocol";
import { agentPaths } from "../directory.ts";
import { columns } from "./job-text.ts";
import { parseMoment } from "./moment.ts";
import { print, say } from "./output.ts";

export interface AuditListOptions {
  readonly dir: string;
  readonly output: "text" | "json";
  readonly operator?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly denied: boolean;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly newest?: string | undefined;
}

/** @throws OutpostError `invalid_argument` for a time or number that is none */
export async function auditList(options: AuditListOptions): Promise<void> {
  const { dir, output, operator: by, action, subject, denied, since, until, newest } = options;
  const { entries, more } = await listAuditLog(agentPaths(dir).audit, {
    ...(by === undefined ? {} : { by }),
    ...(action === undefined ? {} : { action }),
    ...(subject === undefined ? {} : { subject }),
    ...(denied ? { decision: "denied" } : {}),
    ...(since === undefined ? {} : { since: parseMoment("since", since) }),
    ...(until === undefined ? {} : { until: parseMoment("until", until) }),
    ...(newest === undefined ? {} : { newest: parseCount(newest) }),
  });
  await print(output, { entries, more }, asText(entries));
  if (more && output === "text") await say("there are older ones; --newest N shows more");
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--newest: ${JSON.stringify(text)} is not a number from 1 to 999999`,
  );
}

function asText(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return "nothing";
  const head = ["#", "TIME", "OPERATOR", "ACTION", "SUBJECT", "RESULT", "RULE", "WHAT"];
  return columns([head, ...entries.map(row)]);
}

function row(entry: AuditEntry): string[] {
  const { sequence, time, operator, action, subject, rule, what, message, bytes, durationMs } = entry;
  const about = [
    what,
    message,
    bytes === undefined ? undefined : `${String(bytes)} bytes`,
    durationMs === undefined ? undefined : `${String(durationMs)} ms`,
  ].filter((part) => part !== undefined);
  return [
    String(sequence),
    new Date(time).toISOString(),
    operator ?? "-",
    action,
    subject ?? "-",
    resultText(entry),
    rule ?? "-",
    about.join("; ") || "-",
  ];
}

/** `denied`, `allowed`, or how it ended and of which line. */
function resultText({ decision, outcome, of }: AuditEntry): string {
  if (outcome === undefined) return decision ?? "-";
  return of === undefined ? outcome : `#${String(of)} ${outcome}`;
}
