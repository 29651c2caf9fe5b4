/** What commands with `--watch` have in common. */
import type { OutputFormat } from "./command.ts";
import { checkWatchTerminal } from "./terminal/watch.ts";
import { UsageError } from "./usage-error.ts";

/** How often a picture is drawn anew, in milliseconds. */
export const watchIntervalMs = 1_000;

/** Before anything is asked of the controller. @throws UsageError; OutpostError `invalid_argument` without a terminal */
export function checkWatch(command: string, format: OutputFormat): void {
  if (format === "json") {
    throw new UsageError("--watch shows more than one document; take --output ndjson", command);
  }
  if (format === "text") checkWatchTerminal();
}
