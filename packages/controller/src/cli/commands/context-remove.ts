/** `outpost context remove`. */
import { contextPositional } from "../context-positional.ts";
import { defineCommand, flag, outputOption } from "../command.ts";

export const contextRemove = defineCommand({
  name: "context remove",
  usage: ["context remove NAME [--yes]"],
  description:
    "Forget a context of this machine, its key included. The controller goes on knowing the operator: see `outpost operator " +
    "remove`. Asks first when the key of the operators' authority is in it, which cannot be made again.",
  positionals: [contextPositional],
  options: { yes: flag("Do not ask"), ...outputOption },
  examples: [["outpost context remove old", ""]],
  run: async ({ positionals, options }) => {
    const { removeContext } = await import("../contexts.ts");
    return removeContext(positionals[0]!, options.yes, options.output);
  },
});
