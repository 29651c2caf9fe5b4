/** `outpost host approve`. */
import { defineCommand, outputOption } from "../command.ts";
import { targetsPositional } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const hostApprove = defineCommand({
  name: "host approve",
  usage: ["host approve TARGETS"],
  description:
    "Let hosts out of quarantine: from then on they are run on as any other. Look at them first, with `outpost host list`: " +
    "name and labels are what the host has said, unless its token fixed them.",
  positionals: [targetsPositional],
  options: outputOption,
  examples: [
    ["outpost host approve web4", ""],
    ["outpost host approve 'web*'", "all of these that wait"],
  ],
  run: async ({ positionals, options }) => {
    const { selectHosts } = await import("../host-selection.ts");
    const { print } = await import("../render/records.ts");
    const { foldedNames } = await import("../render/names.ts");
    return withClient(async (client) => {
      const selected = await selectHosts(client, positionals[0]!);
      const waiting = selected.filter(({ quarantinedSince }) => quarantinedSince !== undefined);
      const hosts =
        waiting.length === 0 ? [] : await client.administration.approveHosts(waiting.map(({ name }) => name));
      await print(options.output, {
        json: { hosts },
        records: hosts,
        text: async () =>
          hosts.length === 0
            ? `${await foldedNames(selected.map(({ name }) => name))}: not in quarantine`
            : `approved ${await foldedNames(hosts.map(({ name }) => name))}`,
      });
      return 0;
    });
  },
});
