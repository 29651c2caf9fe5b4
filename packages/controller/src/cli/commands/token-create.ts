/** `outpost token create`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { durationText, parseDuration } from "../duration.ts";
import { withClient } from "../with-client.ts";

const defaultTtlMs = 60 * 60 * 1000;

export const tokenCreate = defineCommand({
  name: "token create",
  usage: ["token create [--ttl DURATION] [--uses N]"],
  description:
    "Make a token with which hosts enrol (`outpost-agent join`). It is shown once, and says which controller is the " +
    "right one: keep it as a password.",
  positionals: [],
  options: {
    ttl: value("How long it can be used", { argument: "DURATION", parse: parseDuration, defaultText: "1h" }),
    uses: value("How many hosts may enrol with it", { argument: "N", parse: parseUses, defaultText: "1" }),
    ...outputOption,
  },
  examples: [
    ["outpost token create", "for one host, within an hour"],
    ["outpost token create --ttl 1d --uses 20 --output json", ""],
  ],
  run: async ({ options }) => {
    const { ttl: ttlMs = defaultTtlMs, uses = 1, output } = options;
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    const { isatty } = await import("node:tty");
    return withClient(async (client) => {
      const created = await client.createToken({ ttlMs, uses });
      await print(output, { json: created, text: () => created.token });
      if (output === "text" && isatty(2)) {
        const hosts = uses === 1 ? "one host" : `${String(uses)} hosts`;
        await say(
          `for ${hosts}, within ${durationText(ttlMs)}. There: outpost-agent join wss://CONTROLLER:7443 --token …`,
        );
      }
      return 0;
    });
  },
});

function parseUses(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error("is not a number from 1 to 99999");
  return Number(text);
}
