/** `outpost controller start`. */
import { choice, defineCommand, outputOption, value } from "../command.ts";
import { controllerDirectory, directoryOption } from "../controller-directory.ts";
import { parseListen } from "../listen.ts";
import { metricsOption } from "../metrics-option.ts";

export const controllerStart = defineCommand({
  name: "controller start",
  usage: ["controller start [--dir DIR] [--listen HOST:PORT] [--metrics HOST:PORT]"],
  description:
    "Run the controller in the foreground, until SIGTERM or Ctrl-C. Jobs go on without it; the next start takes up what " +
    "is unfinished. Logs to stderr: JSON lines, or plain ones on a terminal.",
  positionals: [],
  options: {
    ...directoryOption,
    listen: value("Where to listen", {
      argument: "HOST:PORT",
      parse: parseListen,
      defaultText: "what `outpost controller init` was told",
    }),
    ...metricsOption("what `outpost controller init` was told, else off"),
    "log-level": choice("The least important lines to log", ["info", "trace", "debug", "warn", "error"]),
    ...outputOption,
  },
  examples: [
    ["outpost controller start", ""],
    [
      "outpost controller start --metrics 127.0.0.1:9464",
      "http://127.0.0.1:9464/metrics is there for Prometheus",
    ],
    ["outpost controller start --dir /srv/outpost --listen '[::]:7443'", ""],
  ],
  run: async ({ options }) => {
    const { start } = await import("../controller-start.ts");
    const { dir, listen, metrics, "log-level": level, output } = options;
    return start({ directory: controllerDirectory(dir), listen, metrics, level, output });
  },
});
