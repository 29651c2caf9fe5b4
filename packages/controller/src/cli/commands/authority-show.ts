/** `outpost authority show`. */
import { defineCommand, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

export const authorityShow = defineCommand({
  name: "authority show",
  usage: ["authority show"],
  description:
    "Show the controller's certificate authority, or both while it is changed and which hosts that waits for; and whether " +
    "the controller's operators come from the authority that this context knows.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost authority show", ""],
    ["outpost authority show --output json", "for a program"],
  ],
  run: async ({ options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const shown = await client.administration.authority();
      const text = async (): Promise<string> =>
        (await import("../render/authority-text.ts")).authorityText(shown);
      await print(options.output, { json: shown, text });
      return 0;
    });
  },
});
