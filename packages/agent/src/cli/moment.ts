/** Moments as `outpost` reads them: how long ago (`2h`), or when (`2026-03-01`, `2026-03-01T12:00`, `2026-03-01T12:00:00Z`). */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { parseDuration } from "./duration.ts";

const pattern = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * Milliseconds since 1970. A day begins at midnight here, and a time without a zone is one of here.
 * @throws OutpostError `invalid_argument` naming the option
 */
export function parseMoment(option: string, text: string, now: number = Date.now()): number {
  if (/^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)) return now - parseDuration(option, text);
  // A date alone would be read as one in UTC (ECMA-262, section 21.4.1.32).
  const time = pattern.test(text) ? Date.parse(text.includes("T") ? text : `${text}T00:00`) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--${option}: ${JSON.stringify(text)} is neither a duration, e.g. 2h, nor a time, e.g. 2026-03-01 or 2026-03-01T12:00`,
  );
}
