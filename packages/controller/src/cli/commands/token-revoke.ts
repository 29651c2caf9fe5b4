/** `outpost token revoke`. */
import { defineCommand, outputOption } from "../command.ts";
import { withClient } from "../with-client.ts";

export const tokenRevoke = defineCommand({
  name: "token revoke",
  usage: ["token revoke ID"],
  description:
    "Take a token back: no host enrols with it any more. Hosts that have stay; see `outpost host remove`.",
  positionals: [
    { name: "ID", describe: "the token's id, as `outpost token list` shows it", complete: "tokens" },
  ],
  options: outputOption,
  examples: [["outpost token revoke 4k7mabcdefgh", ""]],
  run: async ({ positionals, options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const token = await client.administration.revokeToken(positionals[0]!);
      const used = token.used === 1 ? "one host has" : `${String(token.used)} hosts have`;
      await print(options.output, {
        json: { token },
        records: [token],
        text: () => `revoked ${token.id}; ${used} enrolled with it`,
      });
      return 0;
    });
  },
});
