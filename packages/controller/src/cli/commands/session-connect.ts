/** `outpost session connect`. */
import { defineCommand, outputOption } from "../command.ts";
import { connectOptions, escapeCharacter, terminalOptions } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { UsageError } from "../usage-error.ts";

export const sessionConnect = defineCommand({
  name: "session connect",
  usage: ["session connect SESSION [--host HOST] [--watch] [--take-over]"],
  description:
    "Enter a session that is there, as it was left: the same as `outpost enter --session SESSION`. See `outpost enter --help`.",
  positionals: [sessionPositional],
  options: { ...connectOptions, ...terminalOptions, ...outputOption },
  examples: [
    ["outpost session connect deploy", ""],
    [
      "outpost session connect 4k7m --host web1 --take-over",
      "from another machine, while the first is attached",
    ],
  ],
  run: async ({ positionals, options }) => {
    const { host, watch, "take-over": takeOver } = options;
    if (watch && takeOver)
      throw new UsageError("--watch and --take-over exclude each other", "session connect");
    const { enterSession } = await import("../enter.ts");
    return enterSession(
      { reference: positionals[0]!, host, watch, takeOver },
      { escape: escapeCharacter(options.escape), reconnectForMs: options["reconnect-for"] },
    );
  },
});
