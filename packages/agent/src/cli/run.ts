/** The command line: what can be typed, and what is said when it cannot. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import yargs, { type Argv } from "yargs";
import { defaultAgentDirectory } from "../directory.ts";
import { logLevels } from "../log-level.ts";
import { agentVersion } from "../version.ts";
import { accessCommandNames, auditCommands, policyCommands } from "./access-commands.ts";
import { configurationCommandNames, configurationCommands } from "./configuration-commands.ts";
import { ExitCode } from "./exit-code.ts";
import { jobCommandNames, jobCommands } from "./job-commands.ts";
import { metricsTextfileOption, serviceCommandNames, serviceCommands } from "./service-commands.ts";
import { suggest } from "./suggest.ts";

const commands = [
  ...serviceCommandNames,
  "join",
  "start",
  "status",
  "doctor",
  "facts",
  "job",
  "configuration",
  "policy",
  "audit",
];
const words = [
  ...new Set([...commands, ...jobCommandNames, ...accessCommandNames, ...configurationCommandNames]),
];

/** Those that take one value: given twice, yargs would make an array of it. */
const singles = [
  "dir",
  "controller",
  "token",
  "name",
  "prefix",
  "metrics-textfile",
  "print",
  "log-level",
  "output",
  "command",
  "cwd",
  "timeout",
  "grace",
  "operator",
  "action",
  "subject",
  "since",
  "until",
  "newest",
];
const allOptions = [
  ...singles,
  "label",
  "env",
  "force",
  "purge",
  "denied",
  "check",
  "follow",
  "keep",
  "help",
  "version",
];

/**
 * Runs `outpost-agent` with these arguments, and returns the exit code.
 * @throws OutpostError `invalid_argument` for wrong usage, or the command's
 */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = ExitCode.ok;
  await commandLine(args, (code) => (exitCode = code)).parseAsync();
  return exitCode;
}

/** What stands behind `--` is for the job, and words are words, also `123` and `1e5`. */
const parsing = { "populate--": true, "parse-positional-numbers": false };

/** @param exit takes the exit code of a command that has one of its own */
function commandLine(args: readonly string[], exit: (code: number) => void): Argv {
  const all = yargs([...args])
    .parserConfiguration(parsing)
    .scriptName("outpost-agent")
    .locale("en")
    .usage("$0 COMMAND\n\nThe agent of a host: runs jobs and keeps their output until it is received.");
  return serviceCommands(all, withDirectory)
    .command("join <url>", "Enrol this host with a controller", joinOptions, async (options) =>
      (await import("./join.ts")).join(options),
    )
    .command("start", "Run the agent in the foreground", startOptions, async (options) =>
      (await import("./start.ts")).start(options),
    )
    .command("status", "Say who this host is and what it holds", statusOptions, async (options) =>
      (await import("./status.ts")).status(options),
    )
    .command(
      "doctor",
      "Check whether this host works, and say what is wrong",
      doctorOptions,
      async (options) => exit(await (await import("./doctor/index.ts")).diagnose(options)),
    )
    .command("facts", "Say what this host says of itself", factsOptions, async (options) =>
      exit(await (await import("./facts.ts")).facts(options)),
    )
    .command("job", "Start, list and receive jobs on this host", (argv) =>
      jobCommands(argv, withDirectory, exit),
    )
    .command("configuration", "List and check what this host offers", (argv) =>
      configurationCommands(argv, withDirectory, exit),
    )
    .command("policy", "Check what this host's own policy says", (argv) =>
      policyCommands(argv, withDirectory, exit),
    )
    .command("audit", "List and verify what was asked of this host", (argv) =>
      auditCommands(argv, withDirectory, exit),
    )
    .demandCommand(1, `what to do? One of: ${commands.join(", ")}`)
    .strict()
    .check((given) => {
      const twice = singles.find((option) => Array.isArray(given[option]));
      if (twice !== undefined) throw usageError(`--${twice} is given more than once`);
      if (given["--"] !== undefined && given._.join(" ") !== "job start") {
        throw usageError("only `job start` takes a command behind --");
      }
      return true;
    })
    .fail((message: string | null, error: Error | undefined) => {
      // yargs throws some of its own complaints, and hands over those of our commands.
      throw error !== undefined && error.name !== "YError"
        ? error
        : usageError(complaint(message ?? error?.message ?? "", args));
    })
    .epilogue(
      "Exit codes: 0 done · 251 wrong usage · 252 failed · 253 denied; more in `$0 job receive --help`\n" +
        "Directory: --dir, else $OUTPOST_AGENT_DIR, else /var/lib/outpost-agent (root) or ~/.local/state/outpost-agent",
    )
    .version(agentVersion)
    .help()
    .alias("help", "h")
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false);
}

function joinOptions(argv: Argv) {
  return withDirectory(argv)
    .usage(
      "$0 join URL --token TOKEN [--name NAME] [--label KEY=VALUE]…\n\nEnrol this host with a controller.",
    )
    .positional("url", {
      type: "string",
      demandOption: true,
      describe: "The controller's address, e.g. wss://controller.example.com:7443",
    })
    .option("token", {
      type: "string",
      requiresArg: true,
      describe: "What `outpost token create` printed at the controller (required)",
    })
    .option("name", {
      type: "string",
      requiresArg: true,
      describe: "What the host is called; default: the first part of its host name",
    })
    .option("label", {
      type: "string",
      array: true,
      // Without it, the URL behind a label would be taken for another label.
      nargs: 1,
      default: [],
      defaultDescription: "none",
      describe: "A label to select the host by, KEY=VALUE; may be repeated",
    })
    .option("metrics-textfile", metricsTextfileOption)
    .option("force", {
      type: "boolean",
      default: false,
      describe: "Replace the identity that this directory has already",
    })
    .example("$0 join wss://controller.example.com:7443 --token outpost2_…", "under this host's own name")
    .example(
      "$0 join wss://10.0.0.1:7443 --token outpost2_… --name web1 --label role=web --label site=eu",
      "",
    );
}

function startOptions(argv: Argv) {
  return withDirectory(argv)
    .usage(
      "$0 start\n\nRun the agent in the foreground, until SIGTERM or Ctrl-C. Its jobs go on without it; " +
        "the next start adopts them. Logs to stderr: JSON lines, or plain ones on a terminal.",
    )
    .option("log-level", {
      choices: logLevels,
      default: "info" as const,
      requiresArg: true,
      describe: "The least important lines to log",
    })
    .example("$0 start", "")
    .example("$0 start --dir /srv/agent --log-level debug", "");
}

function statusOptions(argv: Argv) {
  return withDirectory(argv)
    .usage(
      "$0 status\n\nSay who this host is, which controller it belongs to, whether its agent runs and is connected, how its " +
        "service stands, and what jobs and sessions it holds.",
    )
    .option("output", {
      choices: ["text", "json"] as const,
      default: "text" as const,
      requiresArg: true,
      describe: "For people, or for programs",
    })
    .example("$0 status", "")
    .example("$0 status --output json", "");
}

function factsOptions(argv: Argv) {
  return withDirectory(argv)
    .usage(
      "$0 facts\n\nGather what this host says of itself, and print it: what the agent finds out, and what the programs in " +
        "facts.d say. A running agent does so every ten minutes, and on SIGHUP.",
    )
    .option("output", {
      choices: ["text", "json"] as const,
      default: "text" as const,
      requiresArg: true,
      describe: "For people, or for programs",
    })
    .example("$0 facts", "")
    .example("$0 facts --output json", "")
    .epilogue(
      "Exit codes: 0 nothing is wrong, 1 a file of facts.d cannot be used, 251 wrong usage, 252 another error.",
    );
}

function doctorOptions(argv: Argv) {
  return withDirectory(argv)
    .usage(
      "$0 doctor\n\nCheck whether this host works: its identity and certificate, its directory and disk, its policy and " +
        "configurations, its agent and service, and the way to the controller, step by step. For everything that is wrong it says " +
        "what to do. Exits with 0 when nothing is wrong (warnings do not count), else with 1.",
    )
    .option("output", {
      choices: ["text", "json"] as const,
      default: "text" as const,
      requiresArg: true,
      describe: "For people, or for programs",
    })
    .example("sudo $0 doctor", "")
    .example("$0 doctor --output json", "");
}

function withDirectory<T>(argv: Argv<T>) {
  return argv.option("dir", {
    type: "string",
    requiresArg: true,
    default: defaultAgentDirectory(),
    describe: "The agent's directory",
  });
}

/** What yargs says of a missing word names none. */
function complaint(message: string, [command]: readonly string[]): string {
  if (!message.startsWith("Not enough non-option")) return message;
  if (command === "configuration") return "which configuration? `configuration list` shows them";
  return command === "job"
    ? "which job? Give its id, the beginning of one, or its name"
    : "the controller's address is missing";
}

/** yargs says what is wrong; this adds what was meant and where to read on. */
function usageError(message: string): OutpostError {
  const unknown = /^Unknown (?:arguments?|commands?): (.*)$/.exec(message)?.[1]?.split(", ") ?? [];
  const meant = unknown
    .map((word) => {
      const command = suggest(word, words);
      const option = suggest(word, allOptions);
      return command ?? (option === undefined ? undefined : `--${option}`);
    })
    .filter((word) => word !== undefined);
  const hint = meant.length === 0 ? "" : ` Did you mean ${meant.join(", ")}?`;
  return new OutpostError(
    ErrorCode.invalidArgument,
    `${message.replaceAll("\n", " ").trim()}.${hint} See outpost-agent --help, or outpost-agent COMMAND --help.`,
  );
}
