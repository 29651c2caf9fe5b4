/** `outpost session new`. */
import { choice, defineCommand, outputOption, value } from "../command.ts";
import { targetsPositional } from "../job-options.ts";
import { bufferingOption, idleTimeoutOption, openOptions } from "../session-options.ts";
import { withClient } from "../with-client.ts";

export const sessionNew = defineCommand({
  name: "session new",
  usage: ["session new TARGETS [--name NAME] [OPTIONS]"],
  description:
    "Open a session on each host, all under one id, and print it. A session is a live shell: it keeps its variables, its " +
    "directory and what runs in it until it is removed, its shell ends, or nobody was connected and nothing ran for its " +
    "idle time.",
  positionals: [targetsPositional],
  options: {
    name: value("A name for it, to find it again", { argument: "NAME" }),
    ...openOptions,
    "idle-timeout": idleTimeoutOption,
    buffering: bufferingOption,
    exit: choice("What `exit` at its prompt does: end the session, or leave it as it is", ["end", "leave"]),
    ...outputOption,
  },
  examples: [
    ["outpost session new web1,web2 --name deploy", ""],
    ["outpost session new web1 --env STAGE=test --cwd /srv --idle-timeout 8h", ""],
    [
      "outpost session new db1 --configuration maintenance --user postgres",
      "under a configuration of the host",
    ],
    ["outpost session new db1 --name shared --exit leave --record", "exit does not end it"],
  ],
  run: async ({ positionals, options }) => {
    const { name, shell, cwd, env, configuration, user, record, buffering, exit, output } = options;
    return withClient(async (client) => {
      const { session, hosts } = await client.openSession({
        targets: positionals[0]!,
        name,
        shell,
        cwd,
        env: Object.fromEntries(env),
        configuration,
        user,
        record,
        buffering,
        idleTimeoutMs: options["idle-timeout"],
        onExit: exit,
      });
      const { reportOutcomes } = await import("../session-outcomes.ts");
      const exitCode = await reportOutcomes({ session, hosts, format: output, text: () => session.id });
      const { isatty } = await import("node:tty");
      if (output === "text" && isatty(2)) {
        const { say } = await import("../render/sink.ts");
        const host = session.hosts.length > 1 ? ` --host ${session.hosts[0]!}` : "";
        await say(`opened; enter it with: outpost enter --session ${session.name ?? session.id}${host}`);
      }
      return exitCode;
    });
  },
});
