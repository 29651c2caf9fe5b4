/**
 * What an integrated zsh reads: our .zshenv, for which ZDOTDIR pointed here. It puts the user's ZDOTDIR back first, so
 * that zsh itself finds the user's .zprofile, .zshrc and .zlogin. The hooks are added before any of them.
 */
import { quote } from "./quote.ts";
import { shellText } from "./shell-text.ts";
import { agentOnPath, type StartupWanted } from "./startup.ts";

export function zshStartup(wanted: StartupWanted): string {
  const own = wanted.env["ZDOTDIR"];
  return `# What the zsh of an Outpost session reads first; then it reads what any login shell does.
${own === undefined ? "builtin unset ZDOTDIR" : `builtin export ZDOTDIR=${quote(own)}`}
builtin typeset -g __outpost_aid=${quote(wanted.nonce)}
builtin typeset -g __outpost_dir=${quote(wanted.directory)}
builtin typeset -g __outpost_host=${quote(wanted.hostName)}
builtin typeset -g __outpost_leave=${wanted.onExit === "leave" ? "1" : ""}
builtin source "$__outpost_dir/integration"
if [[ -r \${ZDOTDIR:-$HOME}/.zshenv ]]; then builtin source "\${ZDOTDIR:-$HOME}/.zshenv"; fi
# Without any start-up file zsh opens with a questionnaire. Nobody may be there to answer it.
if [[ ! -e \${ZDOTDIR:-$HOME}/.zshenv && ! -e \${ZDOTDIR:-$HOME}/.zprofile &&
  ! -e \${ZDOTDIR:-$HOME}/.zshrc && ! -e \${ZDOTDIR:-$HOME}/.zlogin ]]; then
  zsh-newuser-install() { builtin unfunction zsh-newuser-install }
fi
`;
}

/** Defines and installs; may be read any number of times, and is again after every run. */
export const zshIntegration = shellText`__outpost_return() { builtin return "\${__outpost_status:-0}" }

__outpost_mark() { builtin print -nr -- $'\e]133;'"$1;aid=\${__outpost_aid-}"$'\a' >/dev/tty }

# The last of precmd_functions: the others may make a new prompt each time.
__outpost_precmd() {
  builtin local __outpost_last=$_ __outpost_code=$?
  { builtin emulate -L zsh; builtin setopt no_xtrace no_err_exit no_err_return } 2>/dev/null
  if (( ! \${+__outpost_ready} )); then
    builtin typeset -g __outpost_ready=1
    ${agentOnPath}
  fi
  { __outpost_mark "D;$__outpost_code"; __outpost_mark A } 2>/dev/null
  __outpost_hook || __outpost_mark B 2>/dev/null
  __outpost_decorate
  builtin : "$__outpost_last"
}

__outpost_preexec() {
  { builtin emulate -L zsh; builtin setopt no_xtrace no_err_exit no_err_return } 2>/dev/null
  __outpost_mark C 2>/dev/null
  __outpost_hook || builtin :
}

# Lines that start a run are not remembered.
__outpost_history() {
  { builtin emulate -L zsh; builtin setopt no_xtrace no_err_exit no_err_return } 2>/dev/null
  [[ \${1%$'\n'} != ' \. '*/session-run(|\') ]]
}

# False when others come behind: they may take the mark away that says that the prompt has ended.
__outpost_hook() {
  builtin emulate -L zsh
  builtin typeset -ga precmd_functions preexec_functions zshaddhistory_functions
  (( $preexec_functions[(I)__outpost_preexec] )) || preexec_functions+=(__outpost_preexec)
  (( $zshaddhistory_functions[(I)__outpost_history] )) || zshaddhistory_functions+=(__outpost_history)
  [[ \${precmd_functions[-1]-} == __outpost_precmd ]] && builtin return 0
  precmd_functions=(\${precmd_functions:#__outpost_precmd} __outpost_precmd)
  builtin return 1
}

__outpost_decorate() {
  builtin local prefix="%{%}[$__outpost_host] " lead= rest=\${PS1-}
  builtin local b=$'%{\e]133;B;aid='"$__outpost_aid"$'\a%}' p=$'%{\e]133;P;aid='"$__outpost_aid"$'\a%}'
  if [[ $rest != "\${__outpost_ps1-}" ]]; then
    rest=\${rest//$b/}
    rest=\${rest//$prefix/}
    while [[ $rest == $'\n'* ]]; do lead+=$'\n' rest=\${rest[2,-1]}; done
    PS1=$lead$prefix$rest$b
    builtin typeset -g __outpost_ps1=$PS1
  fi
  [[ \${PS2-} == *$p ]] || PS2=\${PS2-}$p
}

# What "exit" means where it leaves the session: at the prompt itself, not in files, functions and subshells.
__outpost_exit() {
  if (( ZSH_SUBSHELL > 0 || \${#funcstack} > 1 )); then builtin exit "$@"; fi
  __outpost_mark L
}
if [[ -n $__outpost_leave ]]; then
  builtin alias exit=__outpost_exit logout=__outpost_exit
  builtin setopt ignore_eof
fi

__outpost_hook || builtin :
`;
