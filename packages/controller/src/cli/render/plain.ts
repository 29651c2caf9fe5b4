/** What programs read: events and records as JSON, with times in ISO 8601 and bytes as text where they are text. */
import type { JobEvent, SessionReceiveEvent } from "../../client/index.ts";
import { escapeUnprintable } from "./printable.ts";

const timeKeys: ReadonlySet<string> = new Set([
  "time",
  "since",
  "startedAt",
  "endedAt",
  "activeAt",
  "createdAt",
  "disconnectedAt",
  "enrolledAt",
  "lastSeen",
  "expiresAt",
  "certificateExpiresAt",
  "quarantinedSince",
  "revokedAt",
  "invitedUntil",
  "loadedAt",
  "unreachableSince",
  "until",
]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A copy with every time (milliseconds since 1970) as ISO 8601 text. */
export function withIsoTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withIsoTimes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      timeKeys.has(key) && typeof each === "number" ? new Date(each).toISOString() : withIsoTimes(each),
    ]),
  );
}

/** `{text}` when the bytes are valid UTF-8, else `{base64}`. */
export function bytesAsJson(bytes: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: utf8.decode(bytes) };
  } catch {
    const { buffer, byteOffset, byteLength } = bytes;
    return { base64: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
  }
}

/** `JSON.stringify`, with what it leaves as it is, and a terminal acts on, escaped as well: to a program it is the same. */
export function jsonText(value: unknown, indent?: number): string {
  return escapeUnprintable(JSON.stringify(value, undefined, indent));
}

/** An event as a line of NDJSON, newline included. */
export function eventLine(event: JobEvent | SessionReceiveEvent): string {
  if (!("bytes" in event)) return `${jsonText(withIsoTimes(event))}\n`;
  const { bytes, ...about } = event;
  return `${jsonText({ ...(withIsoTimes(about) as object), ...bytesAsJson(bytes) })}\n`;
}
