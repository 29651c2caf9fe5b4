/**
 * What an integrated bash reads. It is started as a login shell in POSIX mode, in which bash reads `$ENV` and nothing
 * else (an `--rcfile` would make it no login shell, and come after Debian's /etc/bash.bashrc). The first thing that the
 * start-up text does is to leave POSIX mode.
 */
import { quote } from "./quote.ts";
import { shellText } from "./shell-text.ts";
import { agentOnPath, type StartupWanted } from "./startup.ts";

/** `$ENV` of the new shell. Reads `integration` before the user's files, so that Ctrl-C in them leaves a shell with marks. */
export function bashStartup(wanted: StartupWanted): string {
  const { env } = wanted;
  return `# What the bash of an Outpost session reads first; then it reads what any login shell does.
builtin set +o posix
builtin shopt -u inherit_errexit 2>/dev/null
${env["ENV"] === undefined ? "unset ENV" : `ENV=${quote(env["ENV"])}`}
${env["HISTFILE"] === undefined ? "HISTFILE=$HOME/.bash_history # POSIX mode has chosen ~/.sh_history" : ""}
__outpost_aid=${quote(wanted.nonce)}
__outpost_dir=${quote(wanted.directory)}
__outpost_host=${quote(wanted.hostName)}
__outpost_leave=${wanted.onExit === "leave" ? "1" : ""}
. "$__outpost_dir/integration"
if [ -r /etc/profile ]; then . /etc/profile; fi
if [ -r ~/.bash_profile ]; then . ~/.bash_profile
elif [ -r ~/.bash_login ]; then . ~/.bash_login
elif [ -r ~/.profile ]; then . ~/.profile
fi
${agentOnPath}
. "$__outpost_dir/integration"
`;
}

/**
 * Defines and installs; may be read any number of times, and is again after every run: a command may have unset
 * anything.
 *
 * - `PROMPT_COMMAND` is an array since 5.1: each element sees `$?` and `$_` as the user's command left them. Ours
 *   comes last, to put marks around whatever PS1 the others have made; it has an index of its own, so that
 *   `PROMPT_COMMAND=…` (element 0) leaves it there, and PS0 puts it back should the array have been replaced.
 * - The nonce is in a variable that is not exported: a PS1 that is inherited by another shell says nothing there.
 */
export const bashIntegration = shellText`__outpost_version=$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1]))
__outpost_prompt=0 # PS0 asks for a variable of this name
__outpost_none=
__outpost_at=\${__outpost_at:-1000}
__outpost_b='\[\e]133;B;aid=\${__outpost_aid-}\a\]'
__outpost_p='\[\e]133;P;aid=\${__outpost_aid-}\a\]'
__outpost_c='\e]133;C;aid=\${__outpost_aid-}\a'
__outpost_heal='\${__outpost_none:\${PROMPT_COMMAND[__outpost_at]:=__outpost_prompt}:0}'
__outpost_prefix="\[\][$__outpost_host] "

__outpost_return() { return "\${__outpost_status-0}"; }

__outpost_mark() { builtin printf "\e]133;$1;aid=%s\a" "\${__outpost_aid-}"; }

# The first of PROMPT_COMMAND where that is one string (before 5.1): keeps $? and $_ for the user's part of it.
__outpost_keep() {
  __outpost_status=$?
  case $- in *e*) return 0 ;; esac
  return "$__outpost_status"
}

# The last of PROMPT_COMMAND.
__outpost_prompt() {
  {
    local status=$?
    ((__outpost_version < 404)) || { local -; set +eux; }
    ((__outpost_version >= 501)) || status=$__outpost_status
  } 2>/dev/null
  { __outpost_mark "D;$status"; __outpost_mark A; } 2>/dev/null >/dev/tty
  __outpost_hook || { __outpost_mark B 2>/dev/null >/dev/tty; }
  __outpost_decorate
  return 0
}

# False when others come behind: they may take the mark away that says that the prompt has ended.
__outpost_hook() {
  if ((__outpost_version < 501)); then
    case \${PROMPT_COMMAND-} in
    *__outpost_keep*__outpost_prompt) ;;
    *) PROMPT_COMMAND='__outpost_keep "$_"'$'\n'\${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}__outpost_prompt ;;
    esac
    return 0
  fi
  local at=("\${!PROMPT_COMMAND[@]}") i
  if ((\${#at[@]} > 0)); then
    [[ \${PROMPT_COMMAND[\${at[-1]}]} == __outpost_prompt ]] && return 0
    for i in "\${at[@]}"; do
      [[ \${PROMPT_COMMAND[i]} == __outpost_prompt ]] && builtin unset "PROMPT_COMMAND[$i]"
    done
    ((at[-1] < 1000 || (__outpost_at = at[-1] + 1)))
  fi
  PROMPT_COMMAND[__outpost_at]=__outpost_prompt
  return 1
}

__outpost_decorate() {
  local b=$__outpost_b p=$__outpost_p c=$__outpost_c heal=$__outpost_heal lead= rest
  if ! builtin shopt -q promptvars; then
    b=\${b/'\${__outpost_aid-}'/$__outpost_aid} p=\${p/'\${__outpost_aid-}'/$__outpost_aid}
    c=\${c/'\${__outpost_aid-}'/$__outpost_aid} heal=
  fi
  ((__outpost_version >= 501)) || heal=
  if [[ \${PS1-} != "\${__outpost_ps1-}" || \${PS1-} != *"$b" ]]; then
    rest=\${PS1-}
    rest=\${rest//"$__outpost_b"/}
    rest=\${rest//"$b"/}
    rest=\${rest//"$__outpost_prefix"/}
    while [[ $rest == '\n'* || $rest == $'\n'* ]]; do
      if [[ $rest == $'\n'* ]]; then lead+=$'\n' rest=\${rest:1}; else lead+='\n' rest=\${rest:2}; fi
    done
    PS1=$lead$__outpost_prefix$rest$b
    __outpost_ps1=$PS1
  fi
  [[ \${PS2-} == *"$p" ]] || PS2=\${PS2-}$p
  ((__outpost_version < 404)) || [[ \${PS0-} == *"$heal$c" ]] || PS0=\${PS0-}$heal$c
  return 0
}

# What "exit" means where it leaves the session: at the prompt itself, not in files, functions and subshells.
__outpost_exit() {
  if ((BASH_SUBSHELL > 0 || \${#FUNCNAME[@]} > 1)); then builtin exit "$@"; fi
  __outpost_mark L >/dev/tty
}
if [[ -n $__outpost_leave ]]; then
  alias exit=__outpost_exit logout=__outpost_exit
  builtin set -o ignoreeof
fi

__outpost_hook || :
__outpost_decorate
`;
