/** `outpost session disconnect`. */
import { defineCommand, outputOption } from "../command.ts";
import { bufferingOption, hostsOption, idleTimeoutOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionDisconnect = defineCommand({
  name: "session disconnect",
  usage: ["session disconnect SESSION [--host HOST]… [--idle-timeout DURATION] [--buffering MODE]"],
  description:
    "Send everybody who is attached away. What runs in the session goes on; so it does when a terminal is closed or " +
    "loses its connection. Sets how long the session lasts without anybody, and what happens to its output meanwhile.",
  positionals: [sessionPositional],
  options: {
    host: hostsOption,
    "idle-timeout": idleTimeoutOption,
    buffering: bufferingOption,
    ...outputOption,
  },
  examples: [
    ["outpost session disconnect deploy", ""],
    ["outpost session disconnect deploy --host web2 --idle-timeout 1d --buffering drop-oldest", ""],
  ],
  run: async ({ positionals, options }) => {
    const { host, "idle-timeout": idleTimeoutMs, buffering, output } = options;
    return withClient(async (client) => {
      const session = await client.session(positionals[0]!);
      const hosts = await session.disconnect({
        ...(host.length === 0 ? {} : { hosts: [...new Set(host)] }),
        idleTimeoutMs,
        buffering,
      });
      const { reportOutcomes } = await import("../session-outcomes.ts");
      const { foldedNames } = await import("../render/names.ts");
      const text = async (names: readonly string[]): Promise<string> =>
        `disconnected ${session.name ?? session.id} on ${await foldedNames(names)}`;
      return reportOutcomes({ session, hosts, format: output, text });
    });
  },
});
