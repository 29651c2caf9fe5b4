/** One line of an audit log: written in one form, bounded, and read with suspicion. */
import { hash } from "node:crypto";
import { AuditEntry } from "@outpost/protocol";
import * as v from "valibot";

export type NewAuditEntry = Omit<AuditEntry, "sequence" | "time" | "previous">;

/** What the first line of all has for the line before it. */
export const noLine = "0".repeat(64);

/** The longest text that is kept of one field, in characters: nobody may fill the disk with what they were denied. */
const maxTextLength = 1_000;

/** The most hosts that one line names. */
const maxHosts = 10_000;

/** The longest name of a host that is kept, in characters; names are shorter. */
const maxHostLength = 64;

/** The longest line, in bytes. Even if every character had to be escaped, a line has room in it. */
export const maxLineBytes = 4 * 1024 * 1024;

/** SHA-256 in hexadecimal. @param line without its newline */
export function hashOf(line: Uint8Array): string {
  return hash("sha256", line, "hex");
}

/** A line without its newline. The order of its keys is part of the format: `timeOf` reads the first ones. */
export function formatLine(
  entry: NewAuditEntry,
  { sequence, time, previous }: Pick<AuditEntry, "sequence" | "time" | "previous">,
): Buffer {
  return Buffer.from(
    JSON.stringify({
      sequence,
      time,
      kind: entry.kind,
      action: short(entry.action),
      operator: short(entry.operator),
      hosts: shortList(entry.hosts),
      subject: short(entry.subject),
      what: short(entry.what),
      decision: entry.decision,
      rule: short(entry.rule),
      of: entry.of,
      outcome: short(entry.outcome),
      message: short(entry.message),
      bytes: entry.bytes,
      durationMs: entry.durationMs,
      previous,
    } satisfies { [K in keyof AuditEntry]-?: AuditEntry[K] | undefined }),
  );
}

function short(text: string | undefined): string | undefined {
  return text === undefined || text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength - 1)}…`;
}

function shortList(hosts: readonly string[] | undefined): string[] | undefined {
  if (hosts === undefined) return undefined;
  const named = hosts.slice(0, maxHosts).map((host) => host.slice(0, maxHostLength));
  if (hosts.length > maxHosts) named.push(`… and ${String(hosts.length - maxHosts)} more`);
  return named;
}

/** `undefined` for what is no entry: somebody edited it, or a disk did. */
export function parseLine(line: Uint8Array | undefined): AuditEntry | undefined {
  if (line === undefined) return undefined;
  try {
    const result = v.safeParse(AuditEntry, JSON.parse(Buffer.from(line).toString()));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** The time of a line, from its beginning alone: most lines of a long log are looked at for nothing else. */
export function timeOf(line: Buffer): number | undefined {
  const found = /^\{"sequence":\d{1,16},"time":(\d{1,16}),/.exec(line.toString("latin1", 0, 64));
  return found === null ? undefined : Number(found[1]);
}
