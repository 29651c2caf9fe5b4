/** `outpost job start`. */
import { defineCommand, outputOption } from "../command.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobOptions, jobPositionals, started, startOptions } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const jobStart = defineCommand({
  name: "job start",
  usage: [
    "job start TARGETS [OPTIONS] -- COMMAND [ARGUMENT…]",
    "job start TARGETS [OPTIONS] -c TEXT",
    "job start TARGETS [OPTIONS] --script FILE [-- ARGUMENT…]",
    "job start --session SESSION[,SESSION] [TARGETS] [OPTIONS] -c TEXT",
    "job start --rerun JOB KIND[,KIND] [TARGETS] [OPTIONS] [-- COMMAND [ARGUMENT…]]",
  ],
  description:
    "Start a job and return at once; prints its id. The output stays on the hosts until it is received with " +
    "`outpost job receive`. A roll-out goes on by itself: `outpost job show ID --watch` shows it, `outpost job pause`, " +
    "`resume` and `stop` act on it.",
  positionals: jobPositionals,
  options: { ...jobOptions, ...outputOption },
  takesRest: true,
  examples: [
    ["outpost job start web1,web2 -- long-thing", ""],
    ["outpost job start role=db --name nightly --timeout 2h -c 'pg_dump shop | gzip'", ""],
    [
      "outpost job start 'web*' --batch 10 --confirm -- upgrade",
      "each stage waits for `outpost job resume ID`",
    ],
    [
      "outpost job start web9 --offline queue --expires 7d -- upgrade",
      "as soon as it is back, within a week",
    ],
    ["outpost job receive $(outpost job start web1 -- make) --follow", "its id, for another command"],
  ],
  epilogue: exitCodesText,
  run: async (given) => {
    const { output, plan } = given.options;
    const wanted = await startOptions("job start", given);
    return withClient(async (client) => {
      const options = await started(client, wanted);
      if (plan) {
        const { showPlan } = await import("../plan.ts");
        return showPlan(client, options, output);
      }
      const { startInBackground } = await import("../background.ts");
      return startInBackground(client, options, output);
    });
  },
});
