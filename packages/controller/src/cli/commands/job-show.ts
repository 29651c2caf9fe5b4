/** `outpost job show`. */
import { defineCommand, flag, outputOption } from "../command.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobShow = defineCommand({
  name: "job show",
  usage: ["job show ID [--hosts] [--watch]"],
  description:
    "Show how a job stands: its roll-out if it has one, and its hosts, each with how much of its output nobody has received. " +
    "Of more than 20 hosts those that stand alike are shown together.",
  positionals: [jobPositional],
  options: {
    hosts: flag("A line for each host, however many there are"),
    watch: flag("Go on showing it, until it has ended (q or Ctrl-C leaves)"),
    ...outputOption,
  },
  examples: [
    ["outpost job show 4k7m", "the beginning of an id is enough"],
    ["outpost job show upgrade --watch", "a roll-out as it goes"],
    ["outpost job show nightly --hosts --output json", ""],
  ],
  run: async ({ positionals, options }) => {
    const { watch, output, hosts } = options;
    const { showJob, watchJob } = await import("../job-show.ts");
    if (!watch)
      return withClient(async (client) => showJob(await client.job(positionals[0]!), output, hosts));
    const { checkWatch } = await import("../watch-options.ts");
    checkWatch("job show", output);
    return withClient(async (client) => watchJob(await client.job(positionals[0]!), output, hosts));
  },
});
