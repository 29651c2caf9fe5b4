/** `outpost host list`. */
import type { HostInfo } from "@outpost/protocol";
import { defineCommand, outputOption } from "../command.ts";
import { ageText, durationText } from "../duration.ts";
import { targetsPositional } from "../job-options.ts";
import { withClient } from "../with-client.ts";

export const hostList = defineCommand({
  name: "host list",
  usage: ["host list [TARGETS]"],
  description:
    "List the hosts: whether they are connected, their labels, system, and when they were last seen; which wait in quarantine " +
    "for `outpost host approve`, and whose certificate ends within a week.",
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
    return (
      "no hosts that you may see. Is there one? `outpost token create` makes a token, `outpost-agent join` on a host " +
      "uses it; `outpost policy explain YOUR-NAME host.list` says what you may see"
    );
  }
  const { table } = await import("../render/table.ts");
  const { labelsText } = await import("../render/labels-text.ts");
  const { endingCertificateText } = await import("../render/certificate-text.ts");
  const now = Date.now();
  const rows = hosts.map(({ name, state, labels, facts, lastSeen, quarantinedSince }) => [
    name,
    quarantinedSince === undefined ? state : "quarantine",
    labelsText(labels),
    facts === undefined ? "-" : `${facts.os} ${facts.arch}`,
    facts?.agentVersion ?? "-",
    state === "connected" ? "now" : lastSeen === undefined ? "never" : ageText(lastSeen, now),
  ]);
  const notes = hosts.map(({ quarantinedSince, certificateExpiresAt }) =>
    [
      quarantinedSince === undefined
        ? undefined
        : `waits for approval since ${durationText(now - quarantinedSince)}`,
      endingCertificateText(certificateExpiresAt, now),
    ]
      .filter((note) => note !== undefined)
      .join("; "),
  );
  const head = ["NAME", "STATE", "LABELS", "OS", "VERSION", "LAST SEEN"];
  if (notes.every((note) => note === "")) return table({ head, rows });
  return table({ head: [...head, "NOTE"], rows: rows.map((row, index) => [...row, notes[index]!]) });
}
