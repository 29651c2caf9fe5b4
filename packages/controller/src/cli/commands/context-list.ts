/** `outpost context list`. */
import { defineCommand, outputOption } from "../command.ts";

export const contextList = defineCommand({
  name: "context list",
  usage: ["context list"],
  description:
    "List the contexts of this machine: which controllers, as whom, and which of them commands use. For one command alone, " +
    "OUTPOST_CONTEXT names another; OUTPOST_CONTEXT_DIR names a folder, whatever contexts there are.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost context list", ""],
    ["OUTPOST_CONTEXT=prod outpost context list", "as if prod were in use"],
  ],
  run: async ({ options }) => {
    const { listContexts } = await import("../contexts.ts");
    return listContexts(options.output);
  },
});
