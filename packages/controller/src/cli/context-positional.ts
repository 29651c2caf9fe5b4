/** How contexts are named on the command line. */
import type { Positional } from "./command.ts";

export const contextPositional: Positional = {
  name: "NAME",
  describe: "the context, as `outpost context list` shows it",
  complete: "contexts",
};
