/** How jobs are named on the command line. */
import type { Positional } from "./command.ts";

export const jobPositional: Positional = {
  name: "ID",
  describe: "the job: its id, the beginning of it, or its name",
  complete: "jobs",
};
