/** `outpost job pause`. */
import { defineCommand, outputOption } from "../command.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobPause = defineCommand({
  name: "job pause",
  usage: ["job pause ID"],
  description:
    "Pause a roll-out: what runs goes on to its end, and nothing more begins until `outpost job resume`. " +
    "To end what runs as well: outpost job stop.",
  positionals: [jobPositional],
  options: outputOption,
  examples: [
    ["outpost job pause 4k7m", ""],
    ["outpost job pause upgrade --output json", "by its name, for a program"],
  ],
  run: async ({ positionals, options }) => {
    const { printRollout } = await import("../rollout-answer.ts");
    return withClient(async (client) => {
      const job = await client.job(positionals[0]!);
      await printRollout(job, await job.pause(), options.output);
      return 0;
    });
  },
});
