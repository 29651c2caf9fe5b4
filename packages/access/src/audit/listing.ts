/** Reads a log from its newest line back, until there is enough. */
import { setImmediate } from "node:timers/promises";
import type { AuditEntry, AuditListParams, AuditListResult } from "@outpost/protocol";
import { fits } from "@outpost/protocol/targets";
import { AuditFiles, firstOf } from "./audit-files.ts";
import { parseLine, timeOf } from "./audit-line.ts";
import { type Line, linesBackwards } from "./lines.ts";

const defaultNewest = 200;

/** An answer is one message: what it may hold together, lines in bytes and names of hosts in pieces. What is left out is
 * `more`. One entry always has room. */
const maxListBytes = 1024 * 1024;
const maxListHosts = 50_000;

/** What was found, the newest first, within the limits. */
class Found {
  readonly #entries: AuditEntry[] = [];
  readonly #limit: number;
  #bytes = 0;
  #hosts = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @returns false when it has no room any more */
  add(entry: AuditEntry, bytes: number): boolean {
    this.#bytes += bytes;
    this.#hosts += entry.hosts?.length ?? 0;
    const isFirst = this.#entries.length === 0;
    const hasRoom =
      this.#entries.length < this.#limit && this.#bytes <= maxListBytes && this.#hosts <= maxListHosts;
    if (!hasRoom && !isFirst) return false;
    this.#entries.push(entry);
    return true;
  }

  /** The oldest first. */
  result(more: boolean): AuditListResult {
    return { entries: this.#entries.toReversed(), more };
  }
}

/** Lines that are no entries are passed over: `verifyAuditLog` tells of them. */
export async function listAuditLog(directory: string, filter: AuditListParams): Promise<AuditListResult> {
  using files = AuditFiles.open(directory);
  const found = new Found(filter.newest ?? defaultNewest);
  for (const { name, file, end } of files.newestFirst()) {
    if (filter.before !== undefined && (firstOf(name) ?? 0) >= filter.before) continue;
    for (const lines of linesBackwards(file, end)) {
      for (const line of lines) {
        const entry = entryThatFits(line, filter);
        if (entry !== undefined && !found.add(entry, line!.length)) return found.result(true);
      }
      await setImmediate();
    }
  }
  return found.result(false);
}

function entryThatFits(line: Line, filter: AuditListParams): AuditEntry | undefined {
  if (line === undefined) return undefined;
  const time = timeOf(line);
  // Clocks are set back now and then: an old line says nothing about those before it.
  if (time !== undefined && !isWithin(time, filter)) return undefined;
  const entry = parseLine(line);
  return entry !== undefined && isWanted(entry, filter) ? entry : undefined;
}

function isWithin(time: number, { since, until }: AuditListParams): boolean {
  return (since === undefined || time >= since) && (until === undefined || time <= until);
}

function isWanted(entry: AuditEntry, filter: AuditListParams): boolean {
  const { by, host, action, decision, subject, before } = filter;
  return (
    isWithin(entry.time, filter) &&
    (before === undefined || entry.sequence < before) &&
    (by === undefined || entry.operator === by) &&
    (host === undefined || entry.hosts?.includes(host) === true) &&
    (action === undefined || fits(action, entry.action)) &&
    (decision === undefined || entry.decision === decision || entry.outcome === decision) &&
    (subject === undefined || entry.subject === subject)
  );
}
