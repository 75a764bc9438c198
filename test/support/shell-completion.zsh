# Prints, as lines "MATCH <word>", what zsh offers for a line:  zsh -f shell-completion.zsh <script> <line>
# Completion runs in an interactive shell on a pseudo-terminal only; there compadd is wrapped to tell what it is given,
# except with -O, -A or -D, which put matches into an array. What is looked for in the output is written in two pieces here,
# since the terminal shows what is typed as well.
zmodload zsh/zpty || exit
zpty inner zsh -f -i
zpty -w inner "PROMPT=; autoload -Uz compinit && compinit -D -u; source ${(q)1}"
zpty -w inner 'compadd() {
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return }
  local -a matches
  builtin compadd -A matches "$@"
  (( $#matches )) && print -rl -- "MAT""CH "$^matches
  builtin compadd "$@"
}
zle -C capture complete-word _generic
finish() { zle capture; print "\nE""ND"; exit }
zle -N finish
bindkey "^I" finish
print RE""ADY'
zpty -r inner output '*READY*'
zpty -w -n inner "$2"$'\t'
zpty -r inner output '*END*'
print -r -- "$output"
