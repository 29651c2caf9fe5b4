/** What a shell evaluates to complete `outpost`: it asks `outpost __complete -- WORDS…`, the last of which is unfinished. */
import { UsageError } from "./usage-error.ts";

const bash = `_outpost() {
  local words candidates
  # COMP_WORDS is split at = and : too; what outpost gets is split at spaces only.
  read -ra words <<<"\${COMP_LINE:0:COMP_POINT}"
  [[ \${COMP_LINE:0:COMP_POINT} == *' ' ]] && words+=('')
  local IFS=$'\\n'
  candidates=($(outpost __complete -- "\${words[@]:1}" 2>/dev/null | cut -f1))
  local word=\${words[-1]} kept
  # bash replaces only what stands behind the last = or :.
  kept=\${word%"\${COMP_WORDS[COMP_CWORD]}"}
  [[ \${COMP_WORDS[COMP_CWORD]} == [=:] ]] && kept=$word
  COMPREPLY=("\${candidates[@]#"$kept"}")
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *, ]] && compopt -o nospace
}
complete -o default -F _outpost outpost
`;

const zsh = `#compdef outpost
_outpost() {
  local -a lines values
  lines=(\${(f)"$(outpost __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  local line
  for line in $lines; do
    values+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${(M)line:#*$'\\t'*}:+:\${line#*$'\\t'}}")
  done
  if (( $#values )); then _describe outpost values; else _files; fi
}
compdef _outpost outpost
`;

const fish = `function __outpost_complete
  set -l words (commandline -opc)[2..-1] (commandline -ct)
  outpost __complete -- $words 2>/dev/null
end
complete -c outpost -f -a '(__outpost_complete)'
complete -c outpost -n '__fish_seen_argument -l script -l dir' -F
`;

export function completionScript(shell: string): string {
  switch (shell) {
    case "bash":
      return bash;
    case "zsh":
      return zsh;
    case "fish":
      return fish;
    default:
      throw new UsageError(`there is no completion for ${shell}, only for bash, zsh and fish`, "completion");
  }
}
