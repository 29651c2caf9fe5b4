/** The commands `configuration`: what can be typed, and what each does. */
import type { Argv } from "yargs";

/** Words behind `configuration`. */
export const configurationCommandNames = ["list", "show", "check"];

const exitCodes = "Exit codes: 0 nothing is wrong, 1 something is, 251 wrong usage, 252 another error.";

/** Takes the exit code of a command that has one of its own. */
type Exit = (code: number) => void;
type WithDirectory = <T>(argv: Argv<T>) => Argv<T & { dir: string }>;

/** @param withDirectory adds `--dir` */
export function configurationCommands(argv: Argv, withDirectory: WithDirectory, exit: Exit): Argv {
  const common = (own: Argv) =>
    withDirectory(own).option("output", {
      choices: ["text", "json"] as const,
      default: "text" as const,
      requiresArg: true,
      describe: "For people, or for programs",
    });
  return argv
    .usage(
      "$0 configuration COMMAND\n\nWhat this host offers under which name: who may run what as whom, and how much of the host it " +
        "may take. Each is a file NAME.yaml in the folder `configurations` of the agent's directory; an edit holds from the " +
        "next request on.",
    )
    .command(
      "list",
      "List the configurations of this host",
      (own) => common(own).usage("$0 configuration list").example("$0 configuration list --output json", ""),
      async (options) => (await import("./configuration-list.ts")).listConfigurations(options),
    )
    .command(
      "show <name>",
      "Say what a configuration offers",
      (own) =>
        common(own)
          .usage("$0 configuration show NAME")
          .positional("name", { type: "string", demandOption: true, describe: "The configuration" })
          .example("$0 configuration show default", "what every request gets that names none"),
      async (options) => (await import("./configuration-show.ts")).showConfiguration(options),
    )
    .command(
      "check [name]",
      "Say what is wrong with configurations, and how their limits are enforced here",
      (own) =>
        common(own)
          .usage(
            "$0 configuration check [NAME | FILE]\n\nSay what is wrong with a configuration, by line and column; whether the users, " +
              "groups and programs that it names are here; and which of its limits this host enforces, and how. To be run as the " +
              "agent's user.",
          )
          .positional("name", {
            type: "string",
            describe: "The configuration, or a file (with a /, or ending in .yaml); default: all",
          })
          .example("$0 configuration check", "all of them")
          .example("$0 configuration check ./deploy.yaml", "before it is put there")
          .epilogue(exitCodes),
      async (options) => exit(await (await import("./configuration-check.ts")).checkConfigurations(options)),
    )
    .demandCommand(1, `what about configurations? One of: ${configurationCommandNames.join(", ")}`);
}
