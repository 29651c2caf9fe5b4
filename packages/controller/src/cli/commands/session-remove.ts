/** `outpost session remove`. */
import { defineCommand, outputOption } from "../command.ts";
import { hostsOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionRemove = defineCommand({
  name: "session remove",
  usage: ["session remove SESSION [--host HOST]…"],
  description:
    "End a session: its shell and what runs in it, and forget its output and its recording. Jobs that were started in it " +
    "with `outpost-agent job start` go on.",
  positionals: [sessionPositional],
  options: { host: hostsOption, ...outputOption },
  examples: [
    ["outpost session remove deploy", ""],
    ["outpost session remove deploy --host web2", "the others stay"],
  ],
  run: async ({ positionals, options }) => {
    const { host, output } = options;
    return withClient(async (client) => {
      const session = await client.session(positionals[0]!);
      const hosts = await session.remove(host.length === 0 ? {} : { hosts: [...new Set(host)] });
      const { reportOutcomes } = await import("../session-outcomes.ts");
      const { foldedNames } = await import("../render/names.ts");
      const text = async (names: readonly string[]): Promise<string> =>
        `removed ${session.name ?? session.id} on ${await foldedNames(names)}`;
      return reportOutcomes({ session, hosts, format: output, text });
    });
  },
});
