/** `outpost authority rotate`. */
import { defineCommand, flag, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";
import { UsageError } from "../usage-error.ts";

const steps = ["begin", "finish", "abandon"] as const;

export const authorityRotate = defineCommand({
  name: "authority rotate",
  usage: ["authority rotate begin", "authority rotate finish [--force]", "authority rotate abandon"],
  description:
    "Change the controller's certificate authority. After `begin`, a new one signs, both are trusted, and hosts get new " +
    "certificates by themselves; `outpost authority show` says who is missing. `finish` forgets the old one, `abandon` the " +
    "new one. Operators keep their certificates; whoever connects in between learns of the new authority, and whoever did " +
    "not needs a new bundle.",
  positionals: [{ name: "STEP", describe: `one of ${steps.join(", ")}`, choices: steps }],
  options: { force: flag("Finish though hosts wait: they have to join again"), ...outputOption },
  examples: [
    ["outpost authority rotate begin", ""],
    ["outpost authority rotate finish", "when `outpost authority show` waits for nobody"],
  ],
  run: async ({ positionals, options }) => {
    const { force, output } = options;
    const step = steps.find((each) => each === positionals[0]);
    if (step === undefined) throw new UsageError(`${steps.join(", ")} are the steps`, "authority rotate");
    if (force && step !== "finish") throw new UsageError("--force is for finish", "authority rotate");
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const shown = await client.administration.rotateAuthority({ step, force });
      const text = async (): Promise<string> =>
        (await import("../render/authority-text.ts")).authorityText(shown);
      await print(output, { json: shown, text });
      return 0;
    });
  },
});
