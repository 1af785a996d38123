# Completion of imgflow in bash: source <(imgflow completion bash)
_imgflow() {
  local cur=${COMP_WORDS[COMP_CWORD]} line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default -o filenames 2>/dev/null
    else
      COMPREPLY+=("$line")
    fi
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$cur" 2>/dev/null)
  if ((${#COMPREPLY[@]})) && [[ ${COMPREPLY[0]} != "$cur"* ]]; then COMPREPLY=(); fi
}
complete -F _imgflow imgflow
