/** `outpost context use`. */
import { contextPositional } from "../context-positional.ts";
import { defineCommand, outputOption } from "../command.ts";

export const contextUse = defineCommand({
  name: "context use",
  usage: ["context use NAME"],
  description: "Use this context from now on. For one command alone: OUTPOST_CONTEXT=NAME outpost …",
  positionals: [contextPositional],
  options: outputOption,
  examples: [["outpost context use prod", ""]],
  run: async ({ positionals, options }) => {
    const { useContext } = await import("../contexts.ts");
    return useContext(positionals[0]!, options.output);
  },
});
