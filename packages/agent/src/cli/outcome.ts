/** How a command ended, as an exit code; what went wrong goes to stderr. */
import { OutpostError } from "@outpost/protocol";
import { ExitCode, exitCodeOf } from "./exit-code.ts";

/** Never rejects. */
export async function outcome(command: () => Promise<unknown>): Promise<ExitCode> {
  try {
    await command();
    return ExitCode.ok;
  } catch (reason) {
    const error = OutpostError.from(reason);
    console.error(`outpost-agent: ${error.message}`);
    // A fault of ours: whoever reports it needs the place.
    if (!(reason instanceof OutpostError) && reason instanceof Error) console.error(reason.stack);
    return exitCodeOf(error);
  }
}
