/** `outpost host remove`. */
import { ExitCode } from "../../client/exit-code.ts";
import { defineCommand, flag, outputOption } from "../command.ts";
import { targetsPositional } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const hostRemove = defineCommand({
  name: "host remove",
  usage: ["host remove TARGETS [--yes]"],
  description:
    "Revoke hosts: their connections end at once, their certificates are refused from then on, and their names are free. " +
    "What runs there goes on, and its output stays there. To come back, a host has to join again.",
  positionals: [targetsPositional],
  options: { yes: flag("Do not ask"), ...outputOption },
  examples: [
    ["outpost host remove web4", ""],
    ["outpost host remove 'old-*' --yes --output json", "from a program"],
  ],
  run: async ({ positionals, options }) => {
    const { yes, output } = options;
    const { confirm } = await import("../confirm.ts");
    const { selectHosts } = await import("../host-selection.ts");
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    const { foldedNames } = await import("../render/names.ts");
    return withClient(async (client) => {
      const names = (await selectHosts(client, positionals[0]!)).map(({ name }) => name);
      const isConfirmed = await confirm({
        what: `remove ${await foldedNames(names)}`,
        consequence: "A host that was removed has to join again to come back.",
        yes,
        command: "host remove",
      });
      if (!isConfirmed) {
        await say("nothing was removed");
        return ExitCode.failed;
      }
      const hosts = await client.administration.removeHosts(names);
      await print(output, {
        json: { hosts },
        records: hosts,
        text: async () => `removed ${await foldedNames(hosts.map(({ name }) => name))}`,
      });
      return 0;
    });
  },
});
