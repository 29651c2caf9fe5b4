/** `outpost job start`. */
import { defineCommand, outputOption } from "../command.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobOptions, jobTargetsPositional, startOptions } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const jobStart = defineCommand({
  name: "job start",
  usage: [
    "job start TARGETS [OPTIONS] -- COMMAND [ARGUMENT…]",
    "job start TARGETS [OPTIONS] -c TEXT",
    "job start TARGETS [OPTIONS] --script FILE [-- ARGUMENT…]",
    "job start --session SESSION[,SESSION] [TARGETS] [OPTIONS] -c TEXT",
  ],
  description:
    "Start a job and return at once; prints its id. The output stays on the hosts until it is received with " +
    "`outpost job receive`.",
  positionals: [jobTargetsPositional],
  options: { ...jobOptions, ...outputOption },
  takesRest: true,
  examples: [
    ["outpost job start web1,web2 -- long-thing", ""],
    ["outpost job start role=db --name nightly --timeout 2h -c 'pg_dump shop | gzip'", ""],
    ["outpost job receive $(outpost job start web1 -- make) --follow", "its id, for another command"],
  ],
  epilogue: exitCodesText,
  run: async (given) => {
    const options = await startOptions("job start", given);
    const { startInBackground } = await import("../background.ts");
    return withClient((client) => startInBackground(client, options, given.options.output));
  },
});
