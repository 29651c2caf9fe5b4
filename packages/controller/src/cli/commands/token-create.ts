/** `outpost token create`. */
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { durationText, parseDuration } from "../duration.ts";
import { parseVariable } from "../job-options.ts";
import { withClient } from "../with-client.ts";
import { UsageError } from "../usage-error.ts";

const defaultTtlMs = 60 * 60 * 1000;

export const tokenCreate = defineCommand({
  name: "token create",
  usage: ["token create [--ttl DURATION] [--uses N] [--name NAME] [--label KEY=VALUE]… [--approve]"],
  description:
    "Make a token with which hosts enrol (`outpost-agent join`). It is shown once, and says which controller and which " +
    "operators are the right ones: keep it as a password.",
  positionals: [],
  options: {
    ttl: value("How long it can be used", { argument: "DURATION", parse: parseDuration, defaultText: "1h" }),
    uses: value("How many hosts may enrol with it", { argument: "N", parse: parseUses, defaultText: "1" }),
    name: value("The host has to be called so; default: as it says", { argument: "NAME" }),
    label: list("A label that the host gets, and that it cannot choose otherwise", {
      argument: "KEY=VALUE",
      parse: parseVariable,
    }),
    approve: flag("Hosts begin in quarantine: nothing runs there until `outpost host approve`"),
    ...outputOption,
  },
  examples: [
    ["outpost token create", "for one host, within an hour"],
    ["outpost token create --name db1 --label role=db", "for this one, whatever it says"],
    ["outpost token create --ttl 1d --uses 20 --approve --output json", "for an image that many boot from"],
  ],
  run: async ({ options }) => {
    const { ttl: ttlMs = defaultTtlMs, uses = 1, name, label, approve, output } = options;
    if (name !== undefined && uses > 1) {
      throw new UsageError("--name is for one host, and --uses says that there are more", "token create");
    }
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    const { isatty } = await import("node:tty");
    return withClient(async (client) => {
      const created = await client.administration.createToken({
        ttlMs,
        uses,
        name,
        labels: Object.fromEntries(label),
        quarantine: approve,
      });
      await print(output, { json: created, text: () => created.token });
      if (output === "text" && isatty(2)) {
        const hosts = uses === 1 ? "one host" : `${String(uses)} hosts`;
        await say(
          `for ${hosts}, within ${durationText(ttlMs)}. There: outpost-agent join ${client.administration.reach} --token …`,
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
