/** `outpost operator add`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { durationText, parseDuration } from "../duration.ts";
import { withClient } from "../with-client.ts";

const defaultTtlMs = 24 * 60 * 60 * 1000;

export const operatorAdd = defineCommand({
  name: "operator add",
  usage: ["operator add NAME [--ttl DURATION] [--file FILE] [--controller URL]"],
  description:
    "Make an operator, and print the bundle that they sign in with, once (`outpost sign-in`). Their key is made on their " +
    "side. Hand the bundle over as you would a password: whoever uses it first is this operator. Needs the key of the " +
    "operators' authority (operators.key) in the context; what they may do, the policy says.",
  positionals: [{ name: "NAME", describe: "what the operator is called, e.g. ada or ada@example.com" }],
  options: {
    ttl: value("How long the bundle can be used", {
      argument: "DURATION",
      parse: parseDuration,
      defaultText: "1d",
    }),
    file: value("Write the bundle to this new file, readable by you alone, instead of printing it", {
      argument: "FILE",
      complete: "files",
    }),
    controller: value("How they reach the controller; default: as `outpost controller init` was told", {
      argument: "URL",
    }),
    ...outputOption,
  },
  examples: [
    ["outpost operator add ada", ""],
    ["outpost operator add ci --ttl 10m --file ci.bundle", ""],
    ["outpost operator add ada --controller wss://outpost.example.com:7443", ""],
  ],
  run: async ({ positionals, options }) => {
    const { ttl: ttlMs = defaultTtlMs, file, controller, output } = options;
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    const { isatty } = await import("node:tty");
    return withClient(async (client) => {
      await using target = file === undefined ? undefined : await openNew(file);
      const { operator, bundle } = await client.administration
        .addOperator({ name: positionals[0]!, ttlMs, controller })
        .catch(async (error: unknown) => {
          await target?.discard();
          throw error;
        });
      await target?.handle.writeFile(`${bundle}\n`);
      const place = file === undefined ? { bundle } : { file };
      await print(output, {
        json: { operator, ...place },
        text: () => (file === undefined ? bundle : `wrote the bundle of ${operator.name} to ${file}`),
      });
      if (output === "text" && isatty(2)) {
        await say(
          `for ${operator.name}, within ${durationText(ttlMs)}. There: outpost sign-in FILE (or -, and paste it)`,
        );
      }
      return 0;
    });
  },
});

/** Before anything is made: an operator whose bundle cannot be written down is of no use. */
async function openNew(file: string) {
  const { newPrivateFile } = await import("../private-file.ts");
  return newPrivateFile(file);
}
