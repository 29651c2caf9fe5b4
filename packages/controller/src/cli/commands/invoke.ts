/** `outpost invoke`. */
import { defineCommand, flag, outputOption } from "../command.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobOptions, jobTargetsPositional, startOptions } from "../job-options.ts";
import { withClient } from "../with-client.ts";
import { UsageError } from "../usage-error.ts";

export const invoke = defineCommand({
  name: "invoke",
  usage: [
    "invoke TARGETS [OPTIONS] -- COMMAND [ARGUMENT…]",
    "invoke TARGETS [OPTIONS] -c TEXT",
    "invoke TARGETS [OPTIONS] --script FILE [-- ARGUMENT…]",
    "invoke --session SESSION[,SESSION] [TARGETS] [OPTIONS] -c TEXT",
  ],
  description:
    "Run a command on hosts, and show what it prints: byte for byte from one host, with the host before each line from " +
    "several (lines longer than 64 KiB are broken). Behind -- comes an argument vector that is run as it is, without a " +
    "shell.\n\nWith --session it runs in the shell of a session, after what runs there: what it sets (cd, variables, " +
    "functions) lasts, and stdout, stderr and exit code come back as always.\n\nCtrl-C stops the command on the hosts; a second Ctrl-C leaves without waiting for that: what " +
    "resists is killed after its grace period, and `outpost job receive` takes up the rest of the output. A job whose " +
    "`outpost` dies without a word goes on: see `outpost job list`.",
  positionals: [jobTargetsPositional],
  options: {
    ...jobOptions,
    "as-job": flag("Return at once; the controller collects the output for `outpost job receive`"),
    timestamps: flag("Begin each line with the time when it was written"),
    ...outputOption,
  },
  takesRest: true,
  examples: [
    ["outpost invoke web1,web2 -- uname -a", "an argument vector"],
    ["outpost invoke web1 -c 'cd /srv && ls | wc -l'", "shell text"],
    ["outpost invoke role=web --script ./collect.sh -- arg1", "a local script"],
    ["pg_dump shop | outpost invoke db1 --stdin -- psql shop", "standard input"],
    [
      "outpost invoke --session deploy -c 'cd /srv; v=2'",
      "in a session's shell: the next one sees what it set",
    ],
    [
      "outpost invoke db1 --user postgres --env-secret PGPASSWORD -- pg_dump shop",
      "a secret of our environment, under another user",
    ],
    ["outpost invoke 'web*' --as-job --name backup -- tar cf - /srv", "in the background"],
  ],
  epilogue: exitCodesText,
  run: async (given) => {
    const { output, timestamps, "as-job": asJob } = given.options;
    if (asJob && timestamps) throw new UsageError("--timestamps is for `outpost job receive` then", "invoke");
    const options = await startOptions("invoke", given);
    return withClient(async (client) => {
      if (asJob) {
        const { startInBackground } = await import("../background.ts");
        return startInBackground(client, { ...options, mode: "collect" }, output);
      }
      const { runInForeground } = await import("../foreground.ts");
      return runInForeground(client, options, { format: output, timestamps });
    });
  },
});
