/** `outpost host list`. */
import type { HostInfo } from "@outpost/protocol";
import { defineCommand, outputOption } from "../command.ts";
import { ageText } from "../duration.ts";
import { targetsPositional } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const hostList = defineCommand({
  name: "host list",
  usage: ["host list [TARGETS]"],
  description:
    "List the hosts: whether they are connected, their labels, system, and when they were last seen.",
  positionals: [{ ...targetsPositional, optional: true }],
  options: outputOption,
  examples: [
    ["outpost host list", "all of them"],
    ["outpost host list 'web*,role=db'", "by name and label"],
    ["outpost host list --output json", ""],
  ],
  run: async ({ positionals, options }) => {
    const { print } = await import("../render/records.ts");
    return withClient(async (client) => {
      const hosts = await client.hosts(positionals[0]);
      await print(options.output, { json: { hosts }, records: hosts, text: () => asTable(hosts) });
      return 0;
    });
  },
});

async function asTable(hosts: readonly HostInfo[]): Promise<string> {
  if (hosts.length === 0) {
    return "no hosts yet; make a token with `outpost token create`, then run `outpost-agent join` on a host";
  }
  const { table } = await import("../render/table.ts");
  const now = Date.now();
  return table({
    head: ["NAME", "STATE", "LABELS", "OS", "VERSION", "LAST SEEN"],
    rows: hosts.map(({ name, state, labels, facts, lastSeen }) => [
      name,
      state,
      labelsText(labels),
      facts === undefined ? "-" : `${facts.os} ${facts.arch}`,
      facts?.agentVersion ?? "-",
      state === "connected" ? "now" : lastSeen === undefined ? "never" : ageText(lastSeen, now),
    ]),
  });
}

function labelsText(labels: HostInfo["labels"]): string {
  const texts = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return texts.length === 0 ? "-" : texts.join(",");
}
