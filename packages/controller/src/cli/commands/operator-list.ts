/** `outpost operator list`. */
import type { OperatorInfo } from "@outpost/protocol";
import { defineCommand, outputOption } from "../command.ts";
import { ageText, durationText } from "../duration.ts";
import { withClient } from "../with-client.ts";

export const operatorList = defineCommand({
  name: "operator list",
  usage: ["operator list"],
  description: "List operators: whether they have signed in, with which key, and when they were last seen.",
  positionals: [],
  options: outputOption,
  examples: [
    ["outpost operator list", ""],
    ["outpost operator list --output json", "for a program"],
  ],
  run: async ({ options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const operators = await client.administration.operators();
      await print(options.output, {
        json: { operators },
        records: operators,
        text: () => asTable(operators),
      });
      return 0;
    });
  },
});

/** Enough of a fingerprint to tell keys apart. */
const keyCharacters = 16;

async function asTable(operators: readonly OperatorInfo[]): Promise<string> {
  const { table } = await import("../render/table.ts");
  const now = Date.now();
  return table({
    head: ["NAME", "STATE", "ADDED", "LAST SEEN", "KEY"],
    rows: operators.map((operator) => [
      operator.name,
      stateText(operator, now),
      ageText(operator.createdAt, now),
      operator.lastSeen === undefined ? "never" : ageText(operator.lastSeen, now),
      operator.key?.slice(0, keyCharacters) ?? "-",
    ]),
  });
}

function stateText({ state, invitedUntil }: OperatorInfo, now: number): string {
  if (state === "active" || invitedUntil === undefined) return state;
  return invitedUntil > now ? `invited, for ${durationText(invitedUntil - now)}` : "invitation expired";
}
