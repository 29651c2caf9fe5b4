/** `outpost job stop`. */
import { defineCommand, list, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobStop = defineCommand({
  name: "job stop",
  usage: ["job stop ID [--host HOST]… [--grace DURATION]"],
  description:
    "Stop a job: SIGTERM to all its processes, SIGKILL to those that are left after the grace period. Returns at once; " +
    "`outpost job wait` waits for the end. A host that cannot be reached stops its job when it is back. Of a roll-out " +
    "nothing more begins; with --host, it goes on without these hosts. The output stays.",
  positionals: [jobPositional],
  options: {
    host: list("Only on this host", { argument: "HOST", complete: "hosts" }),
    grace: value("Between SIGTERM and SIGKILL; default: the host's setting", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    ...outputOption,
  },
  examples: [
    ["outpost job stop 4k7m", ""],
    ["outpost job stop nightly --host web2 --grace 30s", ""],
  ],
  run: async ({ positionals, options }) => {
    const { host, grace, output } = options;
    const { stopJob } = await import("../stop.ts");
    return withClient(async (client) => stopJob(await client.job(positionals[0]!), { host, grace, output }));
  },
});
