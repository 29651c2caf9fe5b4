/** `outpost audit list`. */
import { defineCommand, flag, outputOption, value } from "../command.ts";
import { parseMoment } from "../moment.ts";
import { withClient } from "../with-client.ts";

export const auditList = defineCommand({
  name: "audit list",
  usage: ["audit list [OPTIONS]"],
  description:
    "List what was asked of the controller and how it went, the oldest first: who, what, on which hosts, allowed or denied " +
    "and by which rule. Hosts keep logs of their own: `outpost-agent audit list`.",
  positionals: [],
  options: {
    host: value("Only what touched this host", { argument: "HOST", complete: "hosts" }),
    operator: value("Only what this operator did", { argument: "NAME", complete: "operators" }),
    action: value("Only this action, or e.g. job.*", { argument: "ACTION" }),
    subject: value("Only what was about this job, session, token, …", { argument: "ID" }),
    denied: flag("Only what was denied"),
    since: value("Only from then on: a time, or how long ago", {
      argument: "TIME",
      parse: moment,
    }),
    until: value("Only up to then", { argument: "TIME", parse: moment }),
    newest: value("At most this many, the newest", { argument: "N", parse: parseCount, defaultText: "200" }),
    ...outputOption,
  },
  examples: [
    ["outpost audit list --since 1h", ""],
    ["outpost audit list --operator ada --denied", ""],
    [
      "outpost audit list --host db1 --action 'session.*' --since 2026-03-01 --until 2026-04-01 --output ndjson",
      "",
    ],
  ],
  run: async ({ options }) => {
    const { host, operator: by, action, subject, denied, since, until, newest, output } = options;
    const { print } = await import("../render/records.ts");
    const { say } = await import("../render/sink.ts");
    return withClient(async (client) => {
      const { entries, more } = await client.administration.audit({
        ...(host === undefined ? {} : { host }),
        ...(by === undefined ? {} : { by }),
        ...(action === undefined ? {} : { action }),
        ...(subject === undefined ? {} : { subject }),
        ...(denied ? { decision: "denied" } : {}),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...(newest === undefined ? {} : { newest }),
      });
      const text = async (): Promise<string> =>
        (await import("../render/audit-table.ts")).auditTable(entries);
      await print(output, { json: { entries, more }, records: entries, text });
      if (more && output === "text") await say("there are older ones; --newest N shows more");
      return 0;
    });
  },
});

function moment(text: string): number {
  return parseMoment(text);
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error("is not a number from 1 to 999999");
  return Number(text);
}
