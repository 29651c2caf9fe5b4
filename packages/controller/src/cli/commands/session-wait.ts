/** `outpost session wait`. */
import { choice, defineCommand, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { hostsOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionWait = defineCommand({
  name: "session wait",
  usage: ["session wait SESSION [--until available|ended] [--host HOST]… [--timeout DURATION]"],
  description:
    "Wait until a session's shell waits for a command, or has ended, on all of its hosts. Exit code 0 when that came, 124 " +
    "when the time ran out, 252 when it ended where it should have become available.",
  positionals: [sessionPositional],
  options: {
    until: choice("For what to wait", ["available", "ended"]),
    host: hostsOption,
    timeout: value("How long at most", { argument: "DURATION", parse: parseDuration }),
    ...outputOption,
  },
  examples: [
    ["outpost session wait deploy", "until what runs there has ended"],
    ["outpost session wait deploy --until ended --timeout 10m", ""],
  ],
  run: async ({ positionals, options }) => {
    const { until, host, timeout, output } = options;
    return withClient(async (client) => {
      const session = await client.session(positionals[0]!);
      const result = await session.wait({
        until,
        ...(host.length === 0 ? {} : { hosts: [...new Set(host)] }),
        timeoutMs: timeout,
      });
      const { reportSessionWait } = await import("../session-wait.ts");
      return reportSessionWait(session.name ?? session.id, until, result, output);
    });
  },
});
