import { COMMANDS, GENERAL_FLAGS, OPTION_COMMANDS } from "./commands.ts";
import { type CompletedFlag, flagsOf, operandsOf, PLAIN_COMMANDS, singleQuoted } from "./completion-model.ts";
import { PROGRAM } from "./version.ts";

/** The script for zsh: a file `_clickhouse-backfill` in `fpath`, or read by `source` after `compinit`. */
export function zshCompletion(): string {
  return `#compdef ${PROGRAM}
# zsh completion for ${PROGRAM}
# In this shell, after compinit: source <(${PROGRAM} completion zsh)

_${PROGRAM}() {
  local -a general=(
${lines(GENERAL_FLAGS.flatMap(generalSpecs))}
  )
${OPTION_COMMANDS.map(
  (command) => `  local -a ${command}_options=(
${lines(flagsOf(command).map(optionSpec))}
  )
`,
).join("")}  local -a commands=(
${lines(COMMANDS.map(({ name, description }) => `${name}:${escaped(description, /[\\:]/g)}`))}
  )

  if ((CURRENT == 2)); then
    [[ $words[2] == -* ]] || _describe -t commands command commands
    _arguments : $run_options $general
    return
  fi
  case $words[2] in
${PLAIN_COMMANDS.map(
  ({ name, follow }) =>
    `    ${name}) _arguments : $general${follow === null ? " '1:command:'" : ` '1:command:' '2:${follow.of}:(${follow.words.join(" ")})'`} ;;`,
).join("\n")}
${OPTION_COMMANDS.slice(1)
  .map((name) => {
    const operands = operandsOf(name);
    const first = operands.length === 0 ? "" : ` '2:order:(${operands.join(" ")})' '*::'`;
    return `    ${name}) _arguments : $${name}_options $general '1:command:'${first} ;;\n`;
  })
  .join("")}    *) _arguments : $run_options $general '1::command:' ;;
  esac
}

# As a file in fpath this is the function's body, read when it is first called.
if [[ $funcstack[1] == _${PROGRAM} ]]; then
  _${PROGRAM} "$@"
else
  compdef _${PROGRAM} ${PROGRAM}
fi
`;
}

function lines(specs: readonly string[]): string {
  return specs.map((spec) => `    ${singleQuoted(spec)}`).join("\n");
}

/** One for each spelling; `(- *)` means that nothing else is offered beside it. */
function generalSpecs({ name, short, description }: (typeof GENERAL_FLAGS)[number]): string[] {
  return [...(short === null ? [] : [`-${short}`]), `--${name}`].map(
    (flag) => `(- *)${flag}[${description}]`,
  );
}

/** A specification as `_arguments` takes it; see zshcompsys(1). */
function optionSpec({ name, description, kind, placeholder }: CompletedFlag): string {
  const text = escaped(description, /[\\[\]:]/g);
  if (kind === "switch") return `--${name}[${text}]`;
  const actions = { directory: "_files -/", file: "_files", text: " " };
  return `--${name}=[${text}]:${placeholder}:${actions[kind]}`;
}

function escaped(text: string, special: RegExp): string {
  return text.replaceAll(special, "\\$&");
}
