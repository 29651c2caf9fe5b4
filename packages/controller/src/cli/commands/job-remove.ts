/** `outpost job remove`. */
import { defineCommand, flag, outputOption } from "../command.ts";
import { jobPositional } from "../job-positional.ts";
import { withClient } from "../with-client.ts";

export const jobRemove = defineCommand({
  name: "job remove",
  usage: ["job remove ID [--force]"],
  description:
    "Forget a job and its output, received or not. A host that cannot be reached does so when it is back.",
  positionals: [jobPositional],
  options: { force: flag("Stop it first if it has not ended"), ...outputOption },
  examples: [
    ["outpost job remove 4k7m", ""],
    ["outpost job remove nightly --force", ""],
  ],
  run: async ({ positionals, options }) => {
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    const { foldedNames } = await import("../render/names.ts");
    const { ExitCode } = await import("../../client/exit-code.ts");
    return withClient(async (client) => {
      const job = await client.job(positionals[0]!);
      const jobs = await job.remove({ force: options.force });
      const waiting = jobs.filter((info) => info.waiting !== undefined);
      const away = waiting.filter(({ unreachableSince }) => unreachableSince !== undefined);
      const stopping = waiting.filter(({ unreachableSince }) => unreachableSince === undefined);
      const later = [
        ...(stopping.length === 0
          ? []
          : [`; ${await foldedNames(stopping.map(({ host }) => host))}: when it has stopped`]),
        ...(away.length === 0
          ? []
          : [`; ${await foldedNames(away.map(({ host }) => host))}: when connected again`]),
      ].join("");
      const refused = jobs.flatMap(({ host, refused: why }) => (why === undefined ? [] : [{ host, why }]));
      await print(options.output, {
        json: { job: job.id, jobs },
        records: jobs,
        text: () => `removed ${job.id}${later}`,
      });
      for (const { host, why } of refused) await say(`${host} keeps it: ${why.message}`);
      return refused.length > 0 ? ExitCode.denied : ExitCode.succeeded;
    });
  },
});
