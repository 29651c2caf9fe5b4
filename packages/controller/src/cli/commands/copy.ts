/** `outpost copy`. */
import { configurationOptions } from "../configuration-options.ts";
import { requestOf } from "../copy/request.ts";
import { defineCommand, flag, outputOption, under, value } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { exitCodesText } from "../exit-codes-text.ts";
import { parseRemoteDirectory } from "../job-options.ts";
import { rolloutOptions, rolloutStart } from "../rollout-options.ts";
import { UsageError } from "../usage-error.ts";
import { withClient } from "../with-client.ts";

/** A stream cannot be read twice. */
const { retry: _retry, "retry-delay": _retryDelay, ...rolloutOptionsOfCopies } = rolloutOptions;

export const copy = defineCommand({
  name: "copy",
  usage: ["copy FILE… TARGETS:PATH [OPTIONS]", "copy TARGETS:PATH… DIR [OPTIONS]", "copy --resume JOB DIR"],
  description:
    "Copy files and directories to hosts, or from hosts: each host's into a folder of its own, DIR/HOST. Directories are " +
    "copied with all that is in them, with modes, times and symbolic links. Each file is checked (SHA-256) and gets its name " +
    "when it is whole, so nothing is ever there half.\n\nAs with cp: into PATH if that is a directory (or ends with /, or with " +
    "--into: then it is made), else PATH is the name; DIR/. is what is in a directory. On hosts PATH is absolute or begins in " +
    "the user's home, and may have patterns ('*.log'). A word with a colon before any slash is TARGETS:PATH; a file of such a name " +
    "is written ./odd:name.\n\nA copy is a job: the options of roll-outs, users and configurations hold, and `outpost job show` " +
    "has it. Files are read once, however many hosts get them. After a cut it goes on where it was; a copy from hosts " +
    "that was left is taken up with --resume.",
  positionals: [
    {
      name: "FILE",
      describe: "a file or directory here, or TARGETS:PATH",
      complete: "files",
      unless: ["resume"],
    },
    {
      name: "TO",
      describe: "where it goes: TARGETS:PATH, or a directory here",
      complete: "files",
      several: true,
      unless: ["resume"],
    },
  ],
  options: {
    ...under("What is copied", {
      into: flag("PATH is a directory; it is made, with those above it, if it is not there"),
      "all-links": flag(
        "Copying from hosts: make symbolic links that lead out of the host's folder, too; default: they are left out",
      ),
      resume: value("Take up a copy from hosts that was left: all of each host that is not complete yet", {
        argument: "JOB",
        complete: "jobs",
      }),
    }),
    ...configurationOptions,
    cwd: value("Where PATH begins on the hosts if it is not absolute; default: the user's home", {
      argument: "DIR",
      parse: parseRemoteDirectory,
    }),
    timeout: value("How long it may take on each host, e.g. 30s, 5m, 2h; default: no limit", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    name: value("A name for the job, to find it again", { argument: "NAME" }),
    plan: flag("Copy nothing: show the hosts, which of them are offline, and the stages"),
    ...rolloutOptionsOfCopies,
    ...under("Output", { "no-progress": flag("No status line on the terminal"), ...outputOption }),
  },
  examples: [
    ["outpost copy nginx.conf 'web*':/etc/nginx/", "a file to many hosts"],
    [
      "outpost copy site 'role=web':/srv --canary 1 --check 'curl -fsS localhost'",
      "a directory, one host first",
    ],
    ["outpost copy site/. @eu-web:/srv/site --into", "what is in a directory"],
    ["outpost copy 'web*':'/var/log/nginx/*.log' logs", "logs/web1/access.log, logs/web2/access.log, …"],
    ["outpost copy --resume 4k7m logs", "the rest of that, after a crash"],
  ],
  epilogue: exitCodesText,
  run: async ({ positionals, options }) => {
    const request = requestOf(positionals, options.resume);
    if (options.into && request.kind !== "to") {
      throw new UsageError(
        "--into is for copying to hosts: from hosts, every host gets a folder in DIR",
        "copy",
      );
    }
    if (options["all-links"] && request.kind === "to") {
      throw new UsageError("--all-links is for copying from hosts: to hosts, every link is made", "copy");
    }
    const { check, configuration, user, cwd, timeout, name, plan, output } = options;
    const start = {
      configuration,
      user,
      cwd,
      timeoutMs: timeout,
      name,
      ...rolloutStart("copy", { ...options, retry: undefined, "retry-delay": undefined }, false),
      ...(check === undefined
        ? {}
        : {
            check: {
              command: { kind: "shell" as const, text: check },
              configuration,
              user,
              cwd,
              timeoutMs: timeout,
            },
          }),
    };
    return withClient(async (client) => {
      const { runCopy, showCopyPlan } = await import("../copy/run.ts");
      const wanted = { request, start, into: options.into, allLinks: options["all-links"] };
      if (plan) return showCopyPlan(client, wanted, output);
      return runCopy(client, wanted, { format: output, progress: !options["no-progress"] });
    });
  },
});
