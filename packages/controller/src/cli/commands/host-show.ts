/** `outpost host show`. */
import { defineCommand, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

export const hostShow = defineCommand({
  name: "host show",
  usage: ["host show NAME"],
  description:
    "Show one host: how it stands, its labels, what it says of itself (the facts, by the names that target expressions know) " +
    "and its open sessions.",
  positionals: [{ name: "NAME", describe: "the host", complete: "hosts" }],
  options: outputOption,
  examples: [
    ["outpost host show web1", ""],
    ["outpost host show web1 --output json", "for a program"],
  ],
  run: async ({ positionals, options }) => {
    const { showHost } = await import("../host-show.ts");
    return withClient((client) => showHost(client, positionals[0]!, options.output));
  },
});
