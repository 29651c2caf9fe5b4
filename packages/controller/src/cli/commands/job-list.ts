/** `outpost job list`. */
import { FanOutState, type FanOutInfo } from "@outpost/protocol";
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { ageText, parseDuration } from "../duration.ts";
import { withClient } from "../with-client.ts";

const states: readonly FanOutState[] = FanOutState.options;

export const jobList = defineCommand({
  name: "job list",
  usage: ["job list [OPTIONS]"],
  description: "List jobs, the newest first: how they stand, and how much output nobody has received.",
  positionals: [],
  options: {
    state: list(`Only jobs in this state: ${states.join(", ")}`, {
      argument: "STATE",
      parse: parseState,
      choices: states,
    }),
    name: value("Only jobs of this name", { argument: "NAME" }),
    unread: flag("Only jobs with output that nobody has received"),
    since: value("Only jobs started within this time, e.g. 1h", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    newest: value("At most this many; default 100", { argument: "N", parse: parseCount }),
    ...outputOption,
  },
  examples: [
    ["outpost job list", ""],
    ["outpost job list --state running --state disconnected", "what has not ended"],
    ["outpost job list --unread --since 1d --output json", "for a program"],
  ],
  run: async ({ options }) => {
    const { state, name, unread, since, newest, output } = options;
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const fanouts = await client.jobs({
        ...(state.length === 0 ? {} : { states: [...state] }),
        ...(name === undefined ? {} : { name }),
        ...(unread ? { unread } : {}),
        ...(since === undefined ? {} : { after: Date.now() - since }),
        ...(newest === undefined ? {} : { newest }),
      });
      await print(output, { json: { fanouts }, records: fanouts, text: () => asTable(fanouts) });
      return 0;
    });
  },
});

function parseState(text: string): FanOutState {
  const found = states.find((state) => state === text);
  if (found === undefined) throw new Error(`is none of ${states.join(", ")}`);
  return found;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error("is not a number from 1 to 9999");
  return Number(text);
}

async function asTable(fanouts: readonly FanOutInfo[]): Promise<string> {
  if (fanouts.length === 0) return "no jobs";
  const { table } = await import("../render/table.ts");
  const { bytesText } = await import("../render/bytes-text.ts");
  const now = Date.now();
  return table({
    head: ["ID", "NAME", "STATE", "HOSTS", "UNREAD", "STARTED", "COMMAND"],
    rows: fanouts.map((info) => [
      info.job,
      info.name ?? "-",
      stateText(info),
      String(info.hosts),
      bytesText(info.unreadBytes),
      ageText(info.createdAt, now),
      info.command,
    ]),
  });
}

/** The state, with how many hosts are in it when they are not all. */
function stateText({ state, counts, hosts }: FanOutInfo): string {
  const count = counts[state];
  return count === undefined || count === hosts ? state : `${state} (${String(count)})`;
}
