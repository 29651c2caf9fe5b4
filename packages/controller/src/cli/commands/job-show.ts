/** `outpost job show`. */
import { defineCommand, outputOption } from "../command.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobShow = defineCommand({
  name: "job show",
  usage: ["job show ID"],
  description: "Show how a job stands on each of its hosts, and how much of its output nobody has received.",
  positionals: [jobPositional],
  options: outputOption,
  examples: [
    ["outpost job show 4k7m", "the beginning of an id is enough"],
    ["outpost job show nightly --output json", ""],
  ],
  run: async ({ positionals, options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const job = await client.job(positionals[0]!);
      const view = await job.show();
      await print(options.output, {
        json: view,
        records: view.jobs,
        text: async () => (await import("../render/job-view.ts")).jobViewText(view),
      });
      return 0;
    });
  },
});
