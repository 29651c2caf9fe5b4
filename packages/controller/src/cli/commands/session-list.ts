/** `outpost session list`. */
import { SessionState } from "@outpost/protocol";
import { defineCommand, list, outputOption } from "../command.ts";
import { targetsPositional } from "../job-options.ts";
import { withClient } from "../with-client.ts";

const states: readonly SessionState[] = SessionState.options;

export const sessionList = defineCommand({
  name: "session list",
  usage: ["session list [TARGETS] [--state STATE]…"],
  description:
    "List sessions, everybody's: how they stand, who is attached, what runs, how much output nobody has seen, and when " +
    "each will be closed if nobody comes.",
  positionals: [{ ...targetsPositional, optional: true }],
  options: {
    state: list(`Only sessions in this state: ${states.join(", ")}`, {
      argument: "STATE",
      parse: parseState,
      choices: states,
    }),
    ...outputOption,
  },
  examples: [
    ["outpost session list", ""],
    ["outpost session list 'web*' --state disconnected", ""],
    ["outpost session list --output json", "for a program"],
  ],
  run: async ({ positionals, options }) => {
    const { state, output } = options;
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const sessions = await client.sessions({
        targets: positionals[0],
        ...(state.length === 0 ? {} : { states: state }),
      });
      const text = async (): Promise<string> =>
        (await import("../render/session-table.ts")).sessionTable(sessions);
      await print(output, { json: { sessions }, records: sessions, text });
      return 0;
    });
  },
});

function parseState(text: string): SessionState {
  const found = states.find((state) => state === text);
  if (found === undefined) throw new Error(`is none of ${states.join(", ")}`);
  return found;
}
