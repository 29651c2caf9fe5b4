/** `outpost context show`. */
import { contextPositional } from "../context-positional.ts";
import { defineCommand, outputOption } from "../command.ts";

export const contextShow = defineCommand({
  name: "context show",
  usage: ["context show [NAME]"],
  description:
    "Show a context, by default the one in use: which controller, as whom, until when, and which authorities it believes in. " +
    "Keys are not shown.",
  positionals: [{ ...contextPositional, optional: true }],
  options: outputOption,
  examples: [
    ["outpost context show", ""],
    ["outpost context show prod --output json", ""],
  ],
  run: async ({ positionals, options }) => {
    const { showContext } = await import("../contexts.ts");
    return showContext(positionals[0], options.output);
  },
});
