#compdef imgflow
# Completion of imgflow in zsh: source <(imgflow completion zsh)
_imgflow() {
  local -a lines found
  lines=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("${(@)lines:#(:files|)}")
  ((${#found})) && compadd -a found
  if ((${lines[(Ie):files]})); then _files; fi
}
if [[ ${funcstack[1]} == _imgflow ]]; then _imgflow "$@"; else compdef _imgflow imgflow; fi
