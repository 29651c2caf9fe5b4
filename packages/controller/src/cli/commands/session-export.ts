/** `outpost session export`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { hostOption } from "../session-options.ts";
import { sessionPositional } from "../session-positional.ts";
import { withClient } from "../with-client.ts";

export const sessionExport = defineCommand({
  name: "session export",
  usage: ["session export SESSION [--host HOST] [--file FILE]"],
  description:
    "Write the recording of a session that was opened with --record, as asciicast v2: for `asciinema play`, or its player " +
    "in a page.",
  positionals: [sessionPositional],
  options: {
    file: value("Write it to this file, which must not exist; default: standard output", {
      argument: "FILE",
      complete: "files",
    }),
    host: hostOption,
    ...outputOption,
  },
  examples: [
    ["outpost session export deploy --file deploy.cast", "then: asciinema play deploy.cast"],
    ["outpost session export deploy --host web1 | gzip > deploy.cast.gz", ""],
  ],
  run: async ({ positionals, options }) => {
    const { file, host, output } = options;
    const { exportSession } = await import("../session-export.ts");
    return withClient(async (client) =>
      exportSession(await client.session(positionals[0]!, { host }), { host, file, format: output }),
    );
  },
});
