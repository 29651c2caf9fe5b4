/** `outpost controller init`. */
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { controllerDirectory, directoryOption } from "../controller-directory.ts";
import { defaultListen, listenText, parseListen } from "../listen.ts";
import { metricsOption } from "../metrics-option.ts";

export const controllerInit = defineCommand({
  name: "controller init",
  usage: ["controller init [--listen HOST:PORT] [--name NAME]…"],
  description:
    "Set up a controller on this machine: its certificate authority, its own certificate, its catalogue and policy, the " +
    "operators' authority, and a first operator, whose context goes to ~/.config/outpost/contexts (or $OUTPOST_CONTEXT_DIR). " +
    "In the directory of a controller of version 0.1 it adds what is new; hosts and jobs stay.",
  positionals: [],
  options: {
    ...directoryOption,
    listen: value("Where the controller will listen", {
      argument: "HOST:PORT",
      parse: parseListen,
      defaultText: listenText(defaultListen),
    }),
    ...metricsOption("off"),
    name: list("A name or address under which hosts reach it, besides those of this machine", {
      argument: "NAME",
    }),
    context: value(
      "What the operator's context is to be called; default: as the controller's host, else default",
      {
        argument: "NAME",
      },
    ),
    operator: value("The first operator's name", { argument: "NAME", defaultText: "your login name" }),
    force: flag("Replace an operator's context of another controller"),
    ...outputOption,
  },
  examples: [
    ["outpost controller init", "then: outpost controller start"],
    ["outpost controller init --name controller.example.com", "reached under that name, too"],
    ["outpost controller init --dir /srv/outpost --listen 127.0.0.1:9443", ""],
  ],
  run: async ({ options }) => {
    const { init } = await import("../controller-init.ts");
    const { listen = defaultListen, metrics, name: names, operator, context, force, output } = options;
    const directory = controllerDirectory(options.dir);
    return init({ directory, listen, metrics, names, operator, context, force, output });
  },
});
