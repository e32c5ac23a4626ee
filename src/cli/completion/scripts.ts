/** What a shell evaluates. Each asks `waddle __complete SHELL` what could stand at the cursor; how it answers is in `commands/complete.ts`. */

const BASH = `# waddle: completion for bash. In ~/.bashrc: eval "$(waddle completion bash)"
_waddle() {
  local line kind= at
  COMPREPLY=()
  while IFS= read -r line; do
    if [ -z "$kind" ]; then kind=$line; else COMPREPLY+=("$line"); fi
  done < <("$1" __complete bash -- "\${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
  case $kind in
    parts) compopt -o nospace 2>/dev/null ;;
    files) compopt -o default 2>/dev/null || while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$2") ;;
    folders) compopt -o dirnames 2>/dev/null || while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$2") ;;
    command)
      for ((at = 1; at < COMP_CWORD; at++)); do [ "\${COMP_WORDS[at]}" = -- ] && break; done
      if declare -F _command_offset >/dev/null; then _command_offset $((at + 1))
      elif declare -F _comp_command_offset >/dev/null; then _comp_command_offset $((at + 1))
      else
        compopt -o default 2>/dev/null
        if ((COMP_CWORD == at + 1)); then
          while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -c -- "$2")
        fi
      fi ;;
  esac
}
complete -F _waddle waddle
`;

const ZSH = `#compdef waddle
# waddle: completion for zsh. In ~/.zshrc, after compinit: eval "$(waddle completion zsh)"
_waddle() {
  local -a lines values shown
  local line kind value
  local -i at
  lines=("\${(@f)$("\${(Q)words[1]}" __complete zsh -- "\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  kind=\${lines[1]}
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] || continue
    value=\${line%%$'\\t'*}
    values+=("$value")
    if [[ $line == *$'\\t'* ]]; then shown+=("$value  -- \${line#*$'\\t'}"); else shown+=("$value"); fi
  done
  case $kind in
    files) _files ;;
    folders) _files -/ ;;
    command)
      at=\${words[(i)--]}
      shift $at words
      (( CURRENT -= at ))
      _normal ;;
    parts) compadd -V waddle -S '' -l -d shown -a values ;;
    *) compadd -V waddle -l -d shown -a values ;;
  esac
}
if [[ \${funcstack[1]} == _waddle ]]; then _waddle "$@"; elif (( $+functions[compdef] )); then compdef _waddle waddle; fi
`;

const FISH = `# waddle: completion for fish. Once: waddle completion fish > ~/.config/fish/completions/waddle.fish
function __waddle_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l lines ($words[1] __complete fish -- $words (string unescape -- $typed; or echo $typed) 2>/dev/null)
  switch "$lines[1]"
    case files
      __fish_complete_path $typed
    case folders
      __fish_complete_directories $typed
    case command
      set -l at (contains -i -- -- $words)
      complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) $typed)
    case '*'
      test (count $lines) -gt 1; and printf '%s\\n' $lines[2..]
  end
end
complete -c waddle -e
complete -c waddle -f -k -a '(__waddle_complete)'
`;

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export const SCRIPTS: Record<Shell, string> = { bash: BASH, zsh: ZSH, fish: FISH };
