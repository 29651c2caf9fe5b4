/** The commands that make the agent a service of its machine: what can be typed. */
import type { Argv } from "yargs";

export const serviceCommandNames = ["install", "uninstall", "upgrade"];

/** @param withDirectory adds `--dir` */
export function serviceCommands(
  argv: Argv,
  withDirectory: <T>(argv: Argv<T>) => Argv<T & { dir: string }>,
): Argv {
  return argv
    .command(
      "install",
      "Make this machine a host whose agent is a service (systemd)",
      (own) => installOptions(withDirectory(own)),
      async (options) => (await import("./install.ts")).install(options),
    )
    .command("uninstall", "Take the service away", uninstallOptions, async (options) =>
      (await import("./uninstall.ts")).uninstall(options),
    )
    .command("upgrade", "Put this version in place of the installed one", upgradeOptions, async (options) =>
      (await import("./upgrade.ts")).upgrade(options),
    );
}

export const metricsTextfileOption = {
  type: "string",
  requiresArg: true,
  describe:
    "Where the agent writes its metrics, for node_exporter's textfile collector, e.g. /var/lib/node_exporter/outpost.prom",
} as const;

function installOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 install --controller URL --token TOKEN [--name NAME] [--label KEY=VALUE]…\n\nEnrol this machine, copy this program " +
        "into a folder of its own, and have systemd run it from now on; done when the agent is connected. Needs root. " +
        "Run again, it repairs what is there; a host that is enrolled already needs no token.",
    )
    .option("controller", {
      type: "string",
      requiresArg: true,
      describe: "The controller's address, e.g. wss://controller.example.com:7443",
    })
    .option("token", {
      type: "string",
      requiresArg: true,
      describe: "What `outpost token create` printed",
    })
    .option("name", {
      type: "string",
      requiresArg: true,
      describe: "What the host is called; default: the first part of its host name",
    })
    .option("label", {
      type: "string",
      array: true,
      nargs: 1,
      default: [],
      defaultDescription: "none",
      describe: "A label to select the host by, KEY=VALUE; may be repeated",
    })
    .option("prefix", {
      type: "string",
      requiresArg: true,
      describe: "Where the program goes; default /opt/outpost-agent",
    })
    .option("metrics-textfile", metricsTextfileOption)
    .option("print", {
      choices: ["systemd", "launchd"] as const,
      requiresArg: true,
      describe: "Print the unit or the property list, and do nothing",
    })
    .example("$0 install --controller wss://controller.example.com:7443 --token outpost2_…", "")
    .example("$0 install", "repair it")
    .example("$0 install --print systemd", "");
}

function uninstallOptions(argv: Argv) {
  return argv
    .usage(
      "$0 uninstall [--purge] [--force]\n\nStop the agent, and remove its unit and its program. What the host holds (identity, jobs, " +
        "sessions) stays, unless it is purged. Refuses while jobs or sessions run.",
    )
    .option("purge", {
      type: "boolean",
      default: false,
      describe: "Remove the agent's directory, too: identity, jobs and what they wrote, sessions, logs",
    })
    .option("force", {
      type: "boolean",
      default: false,
      describe: "Although something runs: it runs on without an agent; with --purge it is stopped",
    })
    .example("$0 uninstall", "")
    .example("$0 uninstall --purge --force", "nothing is left");
}

function upgradeOptions(argv: Argv) {
  return argv
    .usage(
      "NEW/$0 upgrade [--check]\n\nRun it from the new version: it is copied beside the installed one and takes its place. Jobs and sessions run on. " +
        "When the new one does not connect, the old one is put back. Needs root.",
    )
    .option("check", { type: "boolean", default: false, describe: "Only say what would happen" })
    .example("./node_modules/.bin/outpost-agent upgrade --check", "")
    .example("./node_modules/.bin/outpost-agent upgrade", "");
}
