/** `outpost invoke`. */
import { defineCommand, flag, type Given, under } from "../command.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { jobOptions, jobPositionals, started, startOptions } from "../job-options.ts";
import { jobOutputOption, recordsFormat, renderingOf } from "../job-output-option.ts";
import { withClient } from "../with-client.ts";
import { UsageError } from "../usage-error.ts";

/** Nothing is shown then. @throws UsageError for what says how */
function checkBackground(
  options: Given<typeof jobOutputOption>["options"] & { readonly timestamps: boolean },
): void {
  const { timestamps, diff, output, "output-dir": directory } = options;
  const option = timestamps
    ? "--timestamps"
    : diff
      ? "--diff"
      : directory !== undefined
        ? "--output-dir"
        : output === "group" || output === "table"
          ? `--output ${output}`
          : undefined;
  if (option === undefined) return;
  throw new UsageError(
    `with --as-job nothing is shown; give ${option} to outpost job receive, which shows it`,
    "invoke",
  );
}

export const invoke = defineCommand({
  name: "invoke",
  usage: [
    "invoke TARGETS [OPTIONS] -- COMMAND [ARGUMENT…]",
    "invoke TARGETS [OPTIONS] -c TEXT",
    "invoke TARGETS [OPTIONS] --script FILE [-- ARGUMENT…]",
    "invoke --session SESSION[,SESSION] [TARGETS] [OPTIONS] -c TEXT",
    "invoke --rerun JOB KIND[,KIND] [TARGETS] [OPTIONS] [-- COMMAND [ARGUMENT…]]",
  ],
  description:
    "Run a command on hosts, and show what it prints: byte for byte from one host, with the host before each line from " +
    "several (lines longer than 64 KiB are broken). Behind -- comes an argument vector that is run as it is, without a " +
    "shell.\n\nWith --session it runs in the shell of a session, after what runs there: what it sets (cd, variables, " +
    "functions) lasts, and stdout, stderr and exit code come back as always.\n\nWithout more, all hosts run it at once. " +
    "The options of roll-outs let them come to it one after another, in stages, and stop when too many fail; the controller " +
    "carries that out, so that `outpost` may go away: `outpost job show` has the picture, `outpost job pause`, `resume` and " +
    "`stop` act on it. --plan shows beforehand what would happen.\n\nCtrl-C stops the command on the hosts; a second Ctrl-C leaves without waiting for that: what " +
    "resists is killed after its grace period, and `outpost job receive` takes up the rest of the output. A job whose " +
    "`outpost` dies without a word goes on: see `outpost job list`.",
  positionals: jobPositionals,
  options: {
    ...jobOptions,
    "as-job": flag("Return at once; the controller collects the output for `outpost job receive`"),
    timestamps: flag("Begin each line with the time when it was written"),
    ...under("Output", jobOutputOption),
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
    [
      "outpost invoke 'web*' --canary 1 --batch 25% --check 'curl -fsS localhost/health' -- systemctl restart shop",
      "one host first, then a quarter of them at a time, as long as all stay healthy",
    ],
    ["outpost invoke 'web*' --concurrency 10 --plan -- reboot", "what that would do"],
    ["outpost invoke --rerun 4k7m failed,unreachable", "once more, where it did not work"],
    ["outpost invoke 'web*' --as-job --name backup -- tar cf - /srv", "in the background"],
  ],
  epilogue: exitCodesText,
  run: async (given) => {
    const { plan, "as-job": asJob } = given.options;
    if (asJob) checkBackground(given.options);
    const rendering = renderingOf("invoke", given.options);
    const wanted = await startOptions("invoke", given);
    return withClient(async (client) => {
      const options = await started(client, wanted);
      if (plan) {
        const { showPlan } = await import("../plan.ts");
        return showPlan(client, options, recordsFormat(rendering.format));
      }
      if (asJob) {
        const { startInBackground } = await import("../background.ts");
        return startInBackground(client, { ...options, mode: "collect" }, recordsFormat(rendering.format));
      }
      const { runInForeground } = await import("../foreground.ts");
      return runInForeground(client, options, rendering);
    });
  },
});
