/** What is known of the terminal, without waking `process.stdout` for a pipe: that would make the pipe non-blocking. */
import { isatty } from "node:tty";

/** How wide it is; `undefined` when stdout is none. */
export function terminalColumns(): number | undefined {
  return isatty(1) ? process.stdout.columns : undefined;
}
