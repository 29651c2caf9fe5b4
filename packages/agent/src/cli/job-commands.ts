/** The `job` commands: what can be typed, and what each does. */
import type { Argv } from "yargs";

/** Words behind `job`. */
export const jobCommandNames = ["start", "list", "show", "receive", "wait", "stop", "remove"];

const exitCodes =
  "Exit codes: 0 the job completed, or goes on; else its exit code (128+n for signal n), 124 timed out, " +
  "130 interrupted by Ctrl-C, 250 lost or unknown, 251 wrong usage, 252 another error, 253 denied.";

/** Takes the exit code of a command that has one of its own. */
type Exit = (code: number) => void;

/** @param withDirectory adds `--dir` */
export function jobCommands(
  argv: Argv,
  withDirectory: <T>(argv: Argv<T>) => Argv<T & { dir: string }>,
  exit: Exit,
): Argv {
  const common = (own: Argv) =>
    withDirectory(own).option("output", {
      choices: ["text", "json"] as const,
      default: "text" as const,
      requiresArg: true,
      describe: "For people, or for programs",
    });
  const withId = (own: Argv) =>
    common(own).positional("id", {
      type: "string",
      demandOption: true,
      describe: "The job: its id, the beginning of it, or its name",
    });
  return argv
    .usage(
      "$0 job COMMAND\n\nJobs of this host, started and received on it. They are like any other job: they do not end with the " +
        "shell, session or agent that was there when they were started, and `outpost job` at the controller shows them.",
    )
    .command(
      "start",
      "Start a job in the background; prints its id",
      (own) => startOptions(common(own)),
      async (options) => (await import("./job-start.ts")).startJob(options),
    )
    .command(
      "list",
      "List the jobs that this host holds",
      (own) => listOptions(common(own)),
      async (options) => (await import("./job-list.ts")).listJobs(options),
    )
    .command(
      "show <id>",
      "Say how a job stands",
      (own) => withId(own).usage("$0 job show ID"),
      async (options) => (await import("./job-show.ts")).showJob(options),
    )
    .command(
      "receive <id>",
      "Receive a job's output",
      (own) => receiveOptions(withId(own)),
      async (options) => exit(await (await import("./job-receive.ts")).receiveJob(options)),
    )
    .command(
      "wait <id>",
      "Wait until a job has ended",
      (own) => waitOptions(withId(own)),
      async (options) => exit(await (await import("./job-wait.ts")).waitForJob(options)),
    )
    .command(
      "stop <id>",
      "Stop a job",
      (own) => stopOptions(withId(own)),
      async (options) => (await import("./job-stop.ts")).stopJob(options),
    )
    .command(
      "remove <id>",
      "Forget a job that has ended, and its output",
      (own) => removeOptions(withId(own)),
      async (options) => (await import("./job-remove.ts")).removeJob(options),
    )
    .demandCommand(1, `what about jobs? One of: ${jobCommandNames.join(", ")}`);
}

function startOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 job start [OPTIONS] -- COMMAND [ARGUMENT…]\n$0 job start [OPTIONS] -c TEXT\n\n" +
        "Start a job of this host and return at once; prints its id. It runs in the current directory and sees this " +
        "environment, but for what is about the terminal (TERM, COLUMNS, …) and the session: it goes on when both are gone.",
    )
    .option("command", {
      alias: "c",
      type: "string",
      requiresArg: true,
      describe: "Shell text, run by sh -c, instead of a command behind --",
    })
    .option("name", { type: "string", requiresArg: true, describe: "A name for the job, to find it again" })
    .option("env", {
      type: "string",
      array: true,
      nargs: 1,
      default: [],
      defaultDescription: "none",
      describe: "Another environment variable, KEY=VALUE; may be repeated",
    })
    .option("cwd", {
      type: "string",
      requiresArg: true,
      describe: "The working directory; default: the current one",
    })
    .option("timeout", {
      type: "string",
      requiresArg: true,
      describe: "How long it may run, e.g. 30s, 5m, 2h; default: no limit",
    })
    .example("$0 job start -- make -j4", "")
    .example("$0 job start --name nightly --timeout 2h -c 'pg_dump shop | gzip > shop.gz'", "");
}

function listOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 job list\n\nList the jobs that this host holds, the newest first: those that were started on it, and those of operators.",
    )
    .example("$0 job list", "");
}

function receiveOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 job receive ID [--follow] [--keep]\n\nReceive a job's output: what is new since the last receive, on this host or at " +
        "the controller. What was received is forgotten, with its job when that has ended; with --keep it is not.",
    )
    .option("follow", { type: "boolean", default: false, describe: "Go on until the job has ended" })
    .option("keep", {
      type: "boolean",
      default: false,
      describe: "Look without taking: the same output can be received again",
    })
    .example("$0 job receive 4k7m --follow", "the beginning of an id is enough")
    .example("$0 job receive nightly --keep", "a look")
    .epilogue(exitCodes);
}

function waitOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 job wait ID [--timeout DURATION]\n\nWait until a job has ended. Leaves its output where it is.",
    )
    .option("timeout", {
      type: "string",
      requiresArg: true,
      describe: "How long to wait at most, e.g. 30s; default: no limit",
    })
    .example("$0 job wait nightly && echo done", "")
    .epilogue(exitCodes);
}

function stopOptions<T>(argv: Argv<T>) {
  return argv
    .usage(
      "$0 job stop ID [--grace DURATION]\n\nStop a job: SIGTERM to all its processes, SIGKILL to those that are left after the " +
        "grace period. Returns at once. The output stays.",
    )
    .option("grace", {
      type: "string",
      requiresArg: true,
      describe: "Between SIGTERM and SIGKILL, e.g. 30s; default: the host's setting",
    })
    .example("$0 job stop 4k7m", "");
}

function removeOptions<T>(argv: Argv<T>) {
  return argv
    .usage("$0 job remove ID\n\nForget a job that has ended, and its output, received or not.")
    .example("$0 job remove nightly", "");
}
