/** `outpost job receive`. */
import { choice, defineCommand, flag, list, under } from "../command.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobOutputOption, renderingOf } from "../job-output-option.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobReceive = defineCommand({
  name: "job receive",
  usage: ["job receive ID [OPTIONS]"],
  description:
    "Receive a job's output: what is new since the last receive. The hosts forget what was received; with --keep they " +
    "do not. Output of one host comes byte for byte, that of several with the host before each line.\n\nWithout " +
    "--follow it takes what there is and ends; a host where the job still runs counts as succeeded, since nothing has " +
    "failed there (`running` in --output json names it; `outpost job wait` waits). Ctrl-C ends the receive, not the job; the next receive goes on where this one ended.",
  positionals: [jobPositional],
  options: {
    follow: flag("Go on until the job has ended"),
    keep: flag("Look without taking: the same output can be received again"),
    host: list("Only this host's output", { argument: "HOST", complete: "hosts" }),
    stream: choice("Only this stream", ["both", "stdout", "stderr"]),
    timestamps: flag("Begin each line with the time when it was written"),
    "from-start": flag("From the first byte, as far as it is still there"),
    remove: flag("Remove the job afterwards, if it has ended"),
    ...under("Output", jobOutputOption),
  },
  examples: [
    ["outpost job receive 4k7m", "what is new"],
    ["outpost job receive nightly --follow --remove", "all of it, and then forget it"],
    [
      "outpost job receive 4k7m --keep --host web1 --stream stderr --timestamps",
      "a look at one host's errors",
    ],
  ],
  epilogue: exitCodesText,
  run: async ({ positionals, options }) => {
    const rendering = renderingOf("job receive", options);
    const { receiveJob } = await import("../receive.ts");
    return withClient(async (client) =>
      receiveJob(client, await client.job(positionals[0]!), options, rendering),
    );
  },
});
