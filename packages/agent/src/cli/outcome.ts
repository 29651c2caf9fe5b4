/** How a command ended, as an exit code; what went wrong goes to stderr. */
import { OutpostError } from "@outpost/protocol";
import { ExitCode, exitCodeOf } from "./exit-code.ts";
import { isBrokenPipe } from "./output.ts";

/**
 * Never rejects.
 * @param command resolves with its exit code; with nothing when that is 0
 */
export async function outcome(command: () => Promise<number | void>): Promise<number> {
  try {
    return (await command()) ?? ExitCode.ok;
  } catch (reason) {
    if (isBrokenPipe(reason)) return ExitCode.brokenPipe;
    const error = OutpostError.from(reason);
    console.error(`outpost-agent: ${error.message}`);
    // A fault of ours: whoever reports it needs the place.
    if (!(reason instanceof OutpostError) && reason instanceof Error) console.error(reason.stack);
    return exitCodeOf(error);
  }
}
