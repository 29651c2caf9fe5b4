/** `outpost job wait`. */
import { defineCommand, flag, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobWait = defineCommand({
  name: "job wait",
  usage: ["job wait ID [--any] [--timeout DURATION]"],
  description:
    "Wait until a job has ended on all its hosts, or with --any on one. Leaves its output where it is.",
  positionals: [jobPositional],
  options: {
    any: flag("Until one host's job has ended"),
    timeout: value("How long at most; then the exit code is 124 and the job goes on", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    ...outputOption,
  },
  examples: [
    ["outpost job wait 4k7m", ""],
    ["outpost job wait nightly --any --timeout 30s", ""],
  ],
  epilogue: exitCodesText,
  run: async ({ positionals, options }) => {
    const { any, timeout, output } = options;
    return withClient(async (client) => {
      const job = await client.job(positionals[0]!);
      const { reportWait, warnOfPause } = await import("../wait.ts");
      if (output === "text") await warnOfPause(job);
      const result = await job.wait({ any, ...(timeout === undefined ? {} : { timeoutMs: timeout }) });
      return reportWait(job, result, output);
    });
  },
});
