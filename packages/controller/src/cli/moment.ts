/** Moments as people write them: how long ago (`2h`), or when (`2026-03-01`, `2026-03-01T12:00`, `2026-03-01T12:00:00Z`). */
import { parseDuration } from "./duration.ts";

const pattern = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** Milliseconds since 1970. A day begins at midnight here, and a time without a zone is one of here. @throws Error saying
 * what a moment looks like */
export function parseMoment(text: string, now: number = Date.now()): number {
  if (/^\d+(\.\d+)?[a-z]+$/.test(text)) return now - parseDuration(text);
  // A date alone would be read as one in UTC (ECMA-262, section 21.4.1.32).
  const time = pattern.test(text) ? Date.parse(text.includes("T") ? text : `${text}T00:00`) : Number.NaN;
  if (Number.isNaN(time))
    throw new Error("is neither a duration, e.g. 2h, nor a time, e.g. 2026-03-01 or 2026-03-01T12:00");
  return time;
}
