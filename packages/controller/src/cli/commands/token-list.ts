/** `outpost token list`. */
import type { TokenInfo } from "@outpost/protocol";
import { defineCommand, outputOption } from "../command.ts";
import { ageText, durationText } from "../duration.ts";
import { withClient } from "../with-client.ts";

export const tokenList = defineCommand({
  name: "token list",
  usage: ["token list"],
  description:
    "List enrolment tokens: who made them, how often they were used, and until when they can be. The tokens themselves are " +
    "not known to anybody but those who have them.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost token list", ""],
    ["outpost token list --output json", "for a program"],
  ],
  run: async ({ options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const tokens = await client.administration.tokens();
      await print(options.output, { json: { tokens }, records: tokens, text: () => asTable(tokens) });
      return 0;
    });
  },
});

async function asTable(tokens: readonly TokenInfo[]): Promise<string> {
  if (tokens.length === 0) return "no tokens; make one with: outpost token create";
  const { table } = await import("../render/table.ts");
  const { labelsText } = await import("../render/labels-text.ts");
  const now = Date.now();
  return table({
    head: ["ID", "STATE", "USED", "EXPIRES", "CREATED", "BY", "NAME", "LABELS"],
    rows: tokens.map((token) => [
      token.id,
      stateText(token, now),
      `${String(token.used)} of ${String(token.uses)}`,
      token.expiresAt <= now ? ageText(token.expiresAt, now) : `in ${durationText(token.expiresAt - now)}`,
      ageText(token.createdAt, now),
      token.createdBy,
      token.name ?? "-",
      labelsText(token.labels),
    ]),
  });
}

function stateText({ revokedAt, expiresAt, used, uses, quarantine }: TokenInfo, now: number): string {
  if (revokedAt !== undefined) return "revoked";
  if (expiresAt <= now) return "expired";
  if (used >= uses) return "used up";
  return quarantine ? "usable, to quarantine" : "usable";
}
