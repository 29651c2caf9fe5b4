/** The commands `policy` and `audit`: what can be typed, and what each does. */
import type { Argv } from "yargs";

/** Words behind `policy` and `audit`. `list` is a word of `job`, too. */
export const accessCommandNames = ["check", "verify"];

const exitCodes = "Exit codes: 0 nothing is wrong, 1 something is, 251 wrong usage, 252 another error.";

/** Takes the exit code of a command that has one of its own. */
type Exit = (code: number) => void;
type WithDirectory = <T>(argv: Argv<T>) => Argv<T & { dir: string }>;

function common<T>(argv: Argv<T>, withDirectory: WithDirectory) {
  return withDirectory(argv).option("output", {
    choices: ["text", "json"] as const,
    default: "text" as const,
    requiresArg: true,
    describe: "For people, or for programs",
  });
}

/** @param withDirectory adds `--dir` */
export function policyCommands(argv: Argv, withDirectory: WithDirectory, exit: Exit): Argv {
  return argv
    .usage(
      "$0 policy COMMAND\n\nThis host's own policy, policy.yaml in the agent's directory. It narrows what the controller lets " +
        "through, in the same words; without it this host adds nothing.",
    )
    .command(
      "check [file]",
      "Say what is wrong with a policy",
      (own) =>
        common(own, withDirectory)
          .usage(
            "$0 policy check [FILE]\n\nSay what is wrong with a policy, by line and column. While something is wrong with " +
              "this host's, nothing is allowed on it.",
          )
          .positional("file", {
            type: "string",
            describe: "The file; default: policy.yaml in the agent's directory",
          })
          .example("$0 policy check", "")
          .example("$0 policy check new-policy.yaml", "before it is put there")
          .epilogue(exitCodes),
      async (options) => exit(await (await import("./policy-check.ts")).policyCheck(options)),
    )
    .demandCommand(1, "what about the policy? One of: check");
}

/** @param withDirectory adds `--dir` */
export function auditCommands(argv: Argv, withDirectory: WithDirectory, exit: Exit): Argv {
  return argv
    .usage(
      "$0 audit COMMAND\n\nWhat was asked of this host, what was decided and what came of it. The controller has a log of its " +
        "own: `outpost audit`.",
    )
    .command(
      "list",
      "List what was asked of this host and how it went",
      (own) => listOptions(common(own, withDirectory)),
      async (options) => (await import("./audit-list.ts")).auditList(options),
    )
    .command(
      "verify",
      "Find lines that were edited, taken out or put in",
      (own) =>
        common(own, withDirectory)
          .usage(
            "$0 audit verify\n\nVerify this host's audit log: each line holds the SHA-256 of the one before it. Whoever can " +
              "write the log can make all of it anew: note the head elsewhere, from time to time, and compare.",
          )
          .example("$0 audit verify --output json", "its `head`, to be kept elsewhere")
          .epilogue(exitCodes),
      async (options) => exit(await (await import("./audit-verify.ts")).auditVerify(options)),
    )
    .demandCommand(1, "what about the audit log? One of: list, verify");
}

function listOptions<T>(argv: Argv<T>) {
  const text = (describe: string) => ({ type: "string", requiresArg: true, describe }) as const;
  return argv
    .usage("$0 audit list [OPTIONS]\n\nList what was asked of this host and how it went, the oldest first.")
    .option("operator", text("Only what this operator did, or USER@HOST"))
    .option("action", text("Only this action, or e.g. 'job.*'"))
    .option("subject", text("Only what was about this job or session"))
    .option("denied", { type: "boolean", default: false, describe: "Only what was denied" })
    .option("since", text("Only from then on: how long ago (2h), or a time (2026-03-01T12:00)"))
    .option("until", text("Only up to then"))
    .option("newest", text("At most this many, the newest; default 200"))
    .example("$0 audit list --since 1h", "")
    .example("$0 audit list --operator ada --denied", "");
}
