/** `outpost controller uninstall`. */
import { defineCommand, flag, outputOption } from "../command.ts";

export const controllerUninstall = defineCommand({
  name: "controller uninstall",
  usage: ["controller uninstall [--purge]"],
  description:
    "Stop the controller, and remove its unit and its program. Its directory stays, unless it is purged. Jobs and sessions go " +
    "on on their hosts. Needs root.",
  positionals: [],
  options: {
    purge: flag("Remove the controller's directory, too: CA, catalogue, collected output, audit log"),
    ...outputOption,
  },
  examples: [
    ["sudo outpost controller uninstall", ""],
    ["sudo outpost controller uninstall --purge", "nothing is left; every host must join anew"],
  ],
  run: async ({ options }) => {
    const { uninstall } = await import("../controller-uninstall.ts");
    return uninstall(options);
  },
});
