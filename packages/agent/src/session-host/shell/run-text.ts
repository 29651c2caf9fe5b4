/** The text of a run's file, `session-run`: what the shell reads to run one command of `invoke --session`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JobId, ShellIntegration } from "@outpost/protocol";
import { quote } from "./quote.ts";

export const runFileName = "session-run";

export interface RunTextWanted {
  readonly integration: Exclude<ShellIntegration, "none">;
  readonly job: JobId;
  /** The job's. Absolute. */
  readonly directory: string;
  /** One line for whoever looks at the terminal. */
  readonly notice: string;
}

/**
 * - Everything is at top level, in no function: what the command declares is global.
 * - The command's file is read with its descriptors set for that one builtin: an `exec >file` in it ends with it.
 * - `$?` goes through: the command sees the last one's, and the prompt sees the command's. `a || b` and not `a; b`,
 *   because under `set -e` a failing `a` would end the shell.
 * - The record is written into the file that is there (`1<>`), which also goes under `set -C`.
 * - Backslashes against aliases, `builtin` against functions; dash has no `builtin`, but what it is used for there
 *   POSIX lets no function replace, or it does not matter.
 * - In the end the integration is read again: the command may have unset anything.
 */
export function runText({ integration, job, directory, notice }: RunTextWanted): string {
  const own = integration === "sh" ? "\\command" : "\\builtin";
  const source = integration === "sh" ? "\\." : "\\builtin .";
  const path = (name: string): string => quote(join(directory, name));
  const input = existsSync(join(directory, "stdin")) ? path("stdin") : "/dev/null";
  const command = `${source} ${path("command")} <${input} >>${path("stdout")} 2>>${path("stderr")}`;
  const say = (format: string, ...values: readonly string[]): string =>
    `{ ${own} printf ${quote(format)} ${values.join(" ")} >/dev/tty; } 2>/dev/null`;
  const nonce = '"${__outpost_aid-}"';
  return `__outpost_status=$?
${say("\\033]133;R;%s;aid=%s\\007\\033[2m%s\\033[22m\\n", job, nonce, quote(notice))}
${integration === "bash" ? forget(directory) : ""}
__outpost_running=1
case $__outpost_status in
0) ${command} ;;
*) __outpost_return || ${command} ;;
esac
__outpost_status=$?
__outpost_running=0
${own} echo "exit $__outpost_status" 1<>${path("exit")}
${say("\\033]133;E;%s;aid=%s\\007", '"$__outpost_status"', nonce)}
${source} "$__outpost_dir/integration"
return "$__outpost_status"
`;
}

/** Our line is no part of the user's history. It begins with a space, but not everybody has bash ignore those; whether
 * it is in there can only be seen by looking. */
function forget(directory: string): string {
  return `case :\${HISTCONTROL-}: in
*:ignorespace:* | *:ignoreboth:*) ;;
*)
  __outpost_rest=$(\\builtin history 1)
  case $__outpost_rest in
  *${quote(join(directory, runFileName))}*)
    __outpost_rest=\${__outpost_rest#"\${__outpost_rest%%[0-9]*}"}
    \\builtin history -d "\${__outpost_rest%%[!0-9]*}"
    ;;
  esac
  ;;
esac`;
}

/** The line that is typed. The space in front keeps it out of most histories. */
export function runLine(directory: string): string {
  return ` \\. ${plainOrQuoted(join(directory, runFileName))}\r`;
}

function plainOrQuoted(path: string): string {
  return /^[\w@%+,./:-]+$/.test(path) ? path : quote(path);
}

/** The most of a command that is shown, in characters. */
const maxNoticeLength = 200;

/** `ada: cd /srv; v=$(hostname)`: the command's first line, as a person would write it. Nothing in it acts on a terminal. */
export function noticeOf(command: string, operator: string | undefined): string {
  const lines = command.split("\n").filter((line) => line.trim() !== "");
  const first = (lines[0] ?? "")
    .replaceAll(/'([\w@%+=:,./-]+)'/g, "$1")
    .replaceAll(/\p{C}/gu, " ")
    .trim();
  const cut = first.length > maxNoticeLength || lines.length > 1;
  return `${operator === undefined ? "" : `${operator}: `}${first.slice(0, maxNoticeLength)}${cut ? " …" : ""}`;
}
