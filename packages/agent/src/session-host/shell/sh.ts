/**
 * What an integrated sh (dash, busybox ash, bash called sh) reads as its `$ENV`. Such a shell has no hooks at all,
 * only a PS1 in which parameters are expanded: all marks are in there. That a command begins is told from the Enter that
 * was typed (prompt-state.ts). Who sets PS1 by hand takes the marks away, until the next run puts them back.
 */
import { quote } from "./quote.ts";
import { agentOnPath, type StartupWanted } from "./startup.ts";

export function shStartup(wanted: StartupWanted): string {
  const { env } = wanted;
  return `# What the sh of an Outpost session reads first; then it reads what any login shell does.
${env["ENV"] === undefined ? "unset ENV" : `ENV=${quote(env["ENV"])}`}
__outpost_aid=${quote(wanted.nonce)}
__outpost_dir=${quote(wanted.directory)}
__outpost_host=${quote(wanted.hostName)}
__outpost_leave=${wanted.onExit === "leave" ? "1" : ""}
__outpost_n=0
__outpost_running=0
. "$__outpost_dir/integration"
if [ -r /etc/profile ]; then . /etc/profile; fi
if [ -r ~/.profile ]; then . ~/.profile; fi
if [ -n "\${ENV-}" ]; then
  eval "__outpost_env=\\"$ENV\\""
  if [ -r "$__outpost_env" ]; then . "$__outpost_env"; fi
fi
${agentOnPath}
. "$__outpost_dir/integration"
`;
}

/** @param invisible what the shell's line editor wants around text that takes no room, e.g. `\[` and `\]` */
export function shIntegration(invisible: readonly [string, string] = ["", ""]): string {
  const [open, close] = invisible;
  const mark = (text: string): string => `\u001b]133;${text};aid=\${__outpost_aid-}\u0007`;
  // `__outpost_running=0` by the way: a run that was interrupted could not do it.
  const number = "n=$((__outpost_n=${__outpost_n:-0}+1+(__outpost_running=0)))";
  const head = open + mark(`D;$?;${number}`) + mark("A;n=${__outpost_n-}") + close;
  return `__outpost_head=${quote(head)}
__outpost_prefix="[$__outpost_host] "
__outpost_b=${quote(open + mark("B") + close)}
__outpost_p=${quote(open + mark("P") + close)}

__outpost_return() { return "\${__outpost_status-0}"; }

# Takes $1 out of __outpost_rest.
__outpost_without() {
  while :; do
    case $__outpost_rest in
    *"$1"*) __outpost_rest=\${__outpost_rest%%"$1"*}\${__outpost_rest#*"$1"} ;;
    *) break ;;
    esac
  done
}

__outpost_decorate() {
  __outpost_rest=\${PS1-}
  __outpost_without "$__outpost_head$__outpost_prefix"
  __outpost_without "$__outpost_b"
  PS1=$__outpost_head$__outpost_prefix$__outpost_rest$__outpost_b
  __outpost_rest=\${PS2-}
  __outpost_without "$__outpost_p"
  PS2=$__outpost_rest$__outpost_p
}

# What "exit" means where it leaves the session: at the prompt itself, not in a run or a subshell (which has $$, too).
__outpost_exit() {
  if [ "\${__outpost_running:-0}" != 0 ] || [ "$(exec /bin/sh -c 'echo "$PPID"')" != "$$" ]; then \\exit "$@"; fi
  printf '\\033]133;L;aid=%s\\007' "\${__outpost_aid-}" >/dev/tty
}
if [ -n "$__outpost_leave" ]; then
  alias exit=__outpost_exit
  set -o ignoreeof
fi

__outpost_decorate
`;
}
