/** `outpost session receive`. */
import { defineCommand, flag, outputOption } from "../command.ts";
import { hostOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionReceive = defineCommand({
  name: "session receive",
  usage: ["session receive SESSION [--host HOST] [OPTIONS]"],
  description:
    "Receive what a session's terminal printed while nobody looked: output that no attached terminal has shown and no " +
    "earlier receive has taken, byte for byte. With --keep it can be received again. Ctrl-C ends the receive, not the " +
    "session; the next receive goes on where this one ended.",
  positionals: [sessionPositional],
  options: {
    follow: flag("Go on until the session has ended"),
    keep: flag("Look without taking: the same output can be received again"),
    "from-start": flag("From the first byte, what was seen included, as far as it is still there"),
    host: hostOption,
    ...outputOption,
  },
  examples: [
    ["outpost session receive deploy", "what is new"],
    ["outpost session receive deploy --host web1 --keep --from-start", "all that is still there"],
    ["outpost session receive 4k7m --follow", "until it ends"],
  ],
  run: async ({ positionals, options }) => {
    const { follow, keep, "from-start": fromStart, host, output } = options;
    const { receiveSession } = await import("../session-receive.ts");
    return withClient(async (client) =>
      receiveSession(
        await client.session(positionals[0]!, { host }),
        { follow, keep, fromStart, host },
        output,
      ),
    );
  },
});
