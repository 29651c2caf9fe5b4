/** `outpost policy show`. */
import { defineCommand, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

export const policyShow = defineCommand({
  name: "policy show",
  usage: ["policy show"],
  description:
    "Show the policy that is in force at the controller, as it was written; and when what is in its file now is not, why.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost policy show", ""],
    ["outpost policy show > policy.yaml", "to look at it with `outpost policy check`"],
  ],
  run: async ({ options }) => {
    const { print } = await import("../render/records.ts");
    const { clockText } = await import("../render/ending.ts");
    const { say } = await import("../render/sink.ts");
    const { isatty } = await import("node:tty");
    return withClient(async (client) => {
      const policy = await client.administration.policy();
      await print(options.output, { json: policy, text: () => policy.text.trimEnd() });
      if (policy.problem !== undefined) {
        await say(`what is in ${policy.file} now is not in force: ${policy.problem}`);
      } else if (options.output === "text" && isatty(2)) {
        await say(`from ${policy.file}, in force since ${clockText(policy.loadedAt)}`);
      }
      return 0;
    });
  },
});
