/** `outpost operator remove`. */
import { ExitCode } from "../../client/exit-code.ts";
import { defineCommand, flag, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

export const operatorRemove = defineCommand({
  name: "operator remove",
  usage: ["operator remove NAME [--yes]"],
  description:
    "Revoke an operator: their connections end at once, and no other is let in. Their jobs and sessions stay, for " +
    "others to stop or to take over.",
  positionals: [{ name: "NAME", describe: "the operator's name", complete: "operators" }],
  options: { yes: flag("Do not ask"), ...outputOption },
  examples: [
    ["outpost operator remove ada", ""],
    ["outpost operator remove ci --yes", "from a program"],
  ],
  run: async ({ positionals, options }) => {
    const [name] = positionals;
    const { confirm } = await import("../confirm.ts");
    const { print } = await import("../render/records.ts");
    const isConfirmed = await confirm({
      what: `remove ${name!}`,
      consequence: "An operator who was removed needs a new bundle to come back.",
      yes: options.yes,
      command: "operator remove",
    });
    if (!isConfirmed) {
      const { say } = await import("../render/sink.ts");
      await say("nobody was removed");
      return ExitCode.failed;
    }
    return withClient(async (client) => {
      const operator = await client.administration.removeOperator(name!);
      await print(options.output, {
        json: { operator },
        records: [operator],
        text: () => `removed ${operator.name}`,
      });
      return 0;
    });
  },
});
