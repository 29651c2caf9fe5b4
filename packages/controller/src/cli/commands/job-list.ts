/** `outpost job list`. */
import { type FanOutListParams, FanOutState } from "@outpost/protocol";
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { withClient } from "../with-client.ts";

const states: readonly FanOutState[] = FanOutState.options;

export const jobList = defineCommand({
  name: "job list",
  usage: ["job list [OPTIONS]"],
  description:
    "List jobs, the newest first: how they stand, how far their roll-outs are, and how much output nobody has received.",
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
    watch: flag("Go on showing them (q or Ctrl-C leaves)"),
    newest: value("At most this many; default 100", { argument: "N", parse: parseCount }),
    ...outputOption,
  },
  examples: [
    ["outpost job list", ""],
    ["outpost job list --state running --state disconnected", "what has not ended"],
    ["outpost job list --watch --newest 20", "as they go"],
    ["outpost job list --unread --since 1d --output json", "for a program"],
  ],
  run: async ({ options }) => {
    const { state, name, unread, since, newest, watch, output } = options;
    const filter = (): FanOutListParams => ({
      ...(state.length === 0 ? {} : { states: [...state] }),
      ...(name === undefined ? {} : { name }),
      ...(unread ? { unread } : {}),
      ...(since === undefined ? {} : { after: Date.now() - since }),
      ...(newest === undefined ? {} : { newest }),
    });
    const { listJobs, watchJobs } = await import("../job-list.ts");
    if (!watch) return withClient((client) => listJobs(client, filter(), output));
    const { checkWatch } = await import("../watch-options.ts");
    checkWatch("job list", output);
    return withClient((client) => watchJobs(client, filter, output));
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
