/** Lines of an audit log for people. */
import type { AuditEntry } from "@outpost/protocol";
import { durationText } from "../duration.ts";
import { bytesText } from "./bytes-text.ts";
import { clockText } from "./ending.ts";
import { table } from "./table.ts";

/** @param now in milliseconds since 1970 @param width columns available; default the terminal's */
export function auditTable(entries: readonly AuditEntry[], now: number = Date.now(), width?: number): string {
  if (entries.length === 0) return "nothing";
  return table({
    head: ["#", "TIME", "OPERATOR", "ACTION", "HOSTS", "SUBJECT", "RESULT", "RULE", "WHAT"],
    rows: entries.map((entry) => row(entry, now)),
    ...(width === undefined ? {} : { width }),
  });
}

function row(entry: AuditEntry, now: number): string[] {
  const { sequence, time, operator, action, hosts, subject, rule } = entry;
  return [
    String(sequence),
    clockText(time, now),
    operator ?? "-",
    action,
    hostsText(hosts),
    subject ?? "-",
    resultText(entry),
    rule ?? "-",
    whatText(entry),
  ];
}

/** More hosts than this are counted only. */
const maxHosts = 3;

function hostsText(hosts: readonly string[] = []): string {
  if (hosts.length === 0) return "-";
  if (hosts.length <= maxHosts) return hosts.join(",");
  return `${hosts.slice(0, maxHosts - 1).join(",")} +${String(hosts.length - maxHosts + 1)}`;
}

/** `denied`, `allowed`, or how it ended and of which line. */
function resultText({ decision, outcome, of }: AuditEntry): string {
  const ended = outcome === undefined ? undefined : of === undefined ? outcome : `#${String(of)} ${outcome}`;
  return [decision, ended].filter((part) => part !== undefined).join(", ") || "-";
}

function whatText({ what, message, bytes, durationMs }: AuditEntry): string {
  const size = bytes === undefined ? undefined : bytesText(bytes);
  const time = durationMs === undefined ? undefined : durationText(durationMs);
  return [what, message, size, time].filter((part) => part !== undefined).join("; ") || "-";
}
