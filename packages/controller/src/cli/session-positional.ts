/** How sessions are named on the command line. */
import type { Positional } from "./command.ts";

export const sessionPositional: Positional = {
  name: "SESSION",
  describe: "the session: its id, the beginning of it, or its name",
  complete: "sessions",
};
