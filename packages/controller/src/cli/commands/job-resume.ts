/** `outpost job resume`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobResume = defineCommand({
  name: "job resume",
  usage: ["job resume ID [--stage N]"],
  description:
    "Let a roll-out go on that was paused, or that waits between two stages: for somebody to confirm the last one " +
    "(`--confirm`), or for its pause to end.",
  positionals: [jobPositional],
  options: {
    stage: value("Only if it is still in this stage: who has looked at one does not confirm the next", {
      argument: "N",
      parse: parseStage,
    }),
    ...outputOption,
  },
  examples: [
    ["outpost job resume 4k7m", ""],
    ["outpost job resume upgrade --stage 1", "the canary looks good"],
  ],
  run: async ({ positionals, options }) => {
    const { stage, output } = options;
    const { printRollout } = await import("../rollout-answer.ts");
    return withClient(async (client) => {
      const job = await client.job(positionals[0]!);
      await printRollout(job, await job.resume({ stage }), output);
      return 0;
    });
  },
});

function parseStage(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error("is not the number of a stage");
  return Number(text);
}
