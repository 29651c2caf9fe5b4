/** `outpost enter`. */
import { defineCommand, outputOption, value } from "../command.ts";
import { targetsPositional } from "../job-options.ts";
import { connectOptions, escapeCharacter, openOptions, terminalOptions } from "../session-options.ts";
import { UsageError } from "../usage-error.ts";

export const enter = defineCommand({
  name: "enter",
  usage: ["enter TARGET [OPTIONS]", "enter --session SESSION [--host HOST] [--watch] [--take-over]"],
  description:
    "A terminal on a host. With TARGET, in a new session that ends with its shell (`exit`); with --session, in one that " +
    "is there. When the connection is lost the session goes on; the terminal comes back to it as soon as it can, with " +
    "nothing lost in either direction.\n\nAt the beginning of a line, ~. leaves and the session goes on, ~? lists the " +
    "other escapes (not in what is pasted, if the terminal marks it as such; inside another ssh or outpost, type ~~.). " +
    "The exit code is the shell's; 0 when the session goes on.",
  positionals: [
    {
      ...targetsPositional,
      name: "TARGET",
      describe: "the host: a name, or an expression that selects one host",
      unless: ["session"],
    },
  ],
  options: {
    session: value("Enter this session: an id, the beginning of one, or a name", {
      argument: "SESSION",
      complete: "sessions",
    }),
    ...connectOptions,
    ...openOptions,
    ...terminalOptions,
    ...outputOption,
  },
  examples: [
    ["outpost enter web1", "ends with exit"],
    ["outpost enter web1 --shell zsh --cwd /srv --env STAGE=test", ""],
    ["outpost enter --session deploy", "where it was left, from any machine"],
    ["outpost enter --session deploy --host web1 --watch", "look on"],
  ],
  run: async ({ positionals, options }) => {
    const [target] = positionals;
    const {
      session,
      shell,
      cwd,
      env,
      configuration,
      user,
      record,
      host,
      watch,
      "take-over": takeOver,
    } = options;
    const forNew = { shell, cwd, env: env[0], configuration, user, record: record || undefined };
    const forExisting = { host, watch: watch || undefined, "take-over": takeOver || undefined };
    const terminal = {
      escape: escapeCharacter(options.escape),
      reconnectForMs: options["reconnect-for"],
    };
    const { enterSession } = await import("../enter.ts");
    if (session === undefined) {
      refuse(forExisting, "is for a session that is there: name it with --session");
      const settings = { shell, cwd, env: Object.fromEntries(env), configuration, user, record };
      return enterSession({ target: target!, ...settings }, terminal);
    }
    if (target !== undefined) {
      throw new UsageError("a TARGET is for a new session; which host of the session, --host says", "enter");
    }
    refuse(forNew, "is for a new session; this one has begun");
    if (watch && takeOver) throw new UsageError("--watch and --take-over exclude each other", "enter");
    return enterSession({ reference: session, host, watch, takeOver }, terminal);
  },
});

/** @throws UsageError for the first of these options that is given */
function refuse(options: Readonly<Record<string, unknown>>, why: string): void {
  const given = Object.entries(options).find(([, each]) => each !== undefined);
  if (given !== undefined) throw new UsageError(`--${given[0]} ${why}`, "enter");
}
