/** `outpost host list`. */
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { targetsPositional } from "../job-options.ts";
import { type ShownState, shownStates } from "../render/host-state.ts";
import { UsageError } from "../usage-error.ts";
import { withClient } from "../with-client.ts";

/** How often the picture is drawn anew, in milliseconds, and how often at the most. */
const usualIntervalMs = 2_000;
const minIntervalMs = 100;

export const hostList = defineCommand({
  name: "host list",
  usage: ["host list [TARGETS] [--facts KEY[,KEY]] [--state STATE]… [--watch]"],
  description:
    "List the hosts: whether they are connected, their labels, system, and when they were last seen; which wait in quarantine " +
    "for `outpost host approve`, and whose certificate ends within a week.",
  positionals: [{ ...targetsPositional, optional: true }],
  options: {
    facts: list("Columns besides, labels and facts, e.g. mem,cpus,fact.rack", {
      argument: "KEY[,KEY]",
      parse: parseKeys,
    }),
    state: list(`Only hosts that are ${shownStates.slice(0, -1).join(", ")} or in ${shownStates.at(-1)!}`, {
      argument: "STATE",
      parse: parseState,
      choices: shownStates,
    }),
    watch: flag("Go on showing them (q or Ctrl-C leaves)"),
    interval: value("How often to look with --watch; default 2s", {
      argument: "DURATION",
      parse: parseInterval,
    }),
    ...outputOption,
  },
  examples: [
    ["outpost host list", "all of them"],
    ["outpost host list 'web* or role=db'", "by name and label"],
    ["outpost host list 'mem>=8GiB and os=debian' --facts mem,os.version", "by what they say of themselves"],
    ["outpost host list --state disconnected", "which are away"],
    ["outpost host list --watch", "as they come and go"],
    ["outpost host list --output json", ""],
  ],
  run: async ({ positionals, options }) => {
    const { facts, state, watch, interval, output } = options;
    if (interval !== undefined && !watch) throw new UsageError("--interval goes with --watch", "host list");
    const listing = { targets: positionals[0], states: state, keys: [...new Set(facts.flat())] };
    const { listHosts, watchHosts } = await import("../host-list.ts");
    if (!watch) return withClient((client) => listHosts(client, listing, output));
    const { checkWatch } = await import("../watch-options.ts");
    checkWatch("host list", output);
    return withClient((client) => watchHosts(client, listing, output, interval ?? usualIntervalMs));
  },
});

function parseKeys(text: string): readonly string[] {
  const keys = text.split(",").map((key) => key.trim());
  const wrong = keys.find((key) => !/^[a-z][a-z0-9._/-]{0,68}$/.test(key));
  if (wrong !== undefined) throw new Error("is not a list of labels and facts (a-z 0-9 . _ / -)");
  return keys;
}

function parseState(text: string): ShownState {
  const found = shownStates.find((state) => state === text);
  if (found === undefined) throw new Error(`is none of ${shownStates.join(", ")}`);
  return found;
}

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms < minIntervalMs) throw new Error(`is less than ${String(minIntervalMs)}ms`);
  return ms;
}
