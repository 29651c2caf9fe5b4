/** `outpost session replay`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { hostOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionReplay = defineCommand({
  name: "session replay",
  usage: ["session replay SESSION [--host HOST] [--speed N] [--max-pause DURATION]"],
  description:
    "Play the recording of a session that was opened with --record, in this terminal. Ctrl-C ends it.",
  positionals: [sessionPositional],
  options: {
    speed: value("How many times as fast", { argument: "N", parse: parseSpeed, defaultText: "1" }),
    "max-pause": value("Shorten pauses to this; default: as they were", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    host: hostOption,
    ...outputOption,
  },
  examples: [
    ["outpost session replay deploy", ""],
    ["outpost session replay deploy --speed 4 --max-pause 1s", ""],
  ],
  run: async ({ positionals, options }) => {
    const { speed = 1, "max-pause": maxPauseMs = Number.POSITIVE_INFINITY, host } = options;
    const { replaySession } = await import("../session-replay.ts");
    return withClient(async (client) =>
      replaySession(await client.session(positionals[0]!, { host }), { host, speed, maxPauseMs }),
    );
  },
});

function parseSpeed(text: string): number {
  const speed = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : 0;
  if (!(speed > 0)) throw new Error("is not a number above 0");
  return speed;
}
