/** `outpost controller install`. */
import { defineCommand, flag, list, outputOption, value } from "../command.ts";
import { controllerDirectory, directoryOption } from "../controller-directory.ts";
import { defaultListen, listenText, parseListen } from "../listen.ts";
import { metricsOption } from "../metrics-option.ts";

export const controllerInstall = defineCommand({
  name: "controller install",
  usage: ["controller install [--dir DIR] [--listen HOST:PORT] [--name NAME]…"],
  description:
    "Make the controller a service of this machine (systemd): copy this program into a folder of its own, have it run as " +
    "a user of its own, set the controller up if there is none, and start it. Needs root. Run again, it repairs; run from " +
    "another version, it puts that in place, or the old one back when it does not start.",
  positionals: [],
  options: {
    ...directoryOption,
    listen: value("Where the controller listens", {
      argument: "HOST:PORT",
      parse: parseListen,
      defaultText: `as before, else ${listenText(defaultListen)}`,
    }),
    ...metricsOption("as before, else off"),
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
    prefix: value("Where the program goes", {
      argument: "DIR",
      defaultText: "/opt/outpost-controller",
      complete: "directories",
    }),
    print: flag("Print the unit, and do nothing"),
    ...outputOption,
  },
  examples: [
    ["sudo outpost controller install --name controller.example.com", "then: outpost token create"],
    ["sudo ./node_modules/.bin/outpost controller install", "upgrade to the version in ./node_modules"],
    ["outpost controller install --print", "the unit that it would write"],
  ],
  run: async ({ options }) => {
    const { install } = await import("../controller-install.ts");
    const { dir, name: names, ...rest } = options;
    return install({ directory: controllerDirectory(dir), names, ...rest });
  },
});
