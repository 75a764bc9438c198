import type { OptionCommand } from "../config/option-spec.ts";
import { COMMANDS, OPTION_COMMANDS } from "./commands.ts";
import { type FlagKind, flagsOf, GENERAL_WORDS, operandsOf, PLAIN_COMMANDS } from "./completion-model.ts";
import { PROGRAM } from "./version.ts";

/** The script for bash 3.2, which macOS has, and later; it needs no package bash-completion. */
export function bashCompletion(): string {
  const general = GENERAL_WORDS.join(" ");
  return `# bash completion for ${PROGRAM}
# In this shell: source <(${PROGRAM} completion bash)

_clickhouse_backfill() {
  local current=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD - 1]} command=
  local -a words=()
  COMPREPLY=()
  ((COMP_CWORD > 1)) && command=\${COMP_WORDS[1]}

  # Bash breaks words at "=", so that a flag and its value may arrive as three.
  if [[ $current == = ]]; then
    flag+='='
    current=
  elif [[ $flag == = ]]; then
    flag=\${COMP_WORDS[COMP_CWORD - 2]}=
  fi

  case $command in
${PLAIN_COMMANDS.map(
  ({ name, follow }) => `    ${name})
${
  follow === null
    ? ""
    : `      ((COMP_CWORD == 2)) && words=(${follow.words.join(" ")})
`
}\
      [[ $current == -* ]] && words=(${general})
      ;;
`,
).join("")}${OTHERS.map((command) => `    ${command})\n${optionCase(command)}      ;;\n`).join("")}    *)
${optionCase(FIRST)}      ((COMP_CWORD == 1)) && words+=(${COMMANDS.map(({ name }) => name).join(" ")})
      ;;
  esac
  _clickhouse_backfill_reply -W "\${words[*]}" -- "$current"
}

_clickhouse_backfill_reply() {
  local reply given=" \${COMP_WORDS[*]:0:COMP_CWORD} "
  while IFS= read -r reply; do
    # A flag is taken once.
    [[ $reply == --* && $given == *[\\ ]"$reply"[\\ =]* ]] || COMPREPLY+=("$reply")
  done < <(compgen "$@")
}

_clickhouse_backfill_paths() {
  # bash 3.2 has no compopt; there blanks in names stay as they are.
  compopt -o filenames 2>/dev/null
  _clickhouse_backfill_reply "$1" -- "$2"
}

complete -F _clickhouse_backfill ${PROGRAM}
`;
}

const [FIRST, ...OTHERS] = OPTION_COMMANDS;

/** What may stand within a command that takes options. */
function optionCase(command: OptionCommand): string {
  const flags = flagsOf(command);
  const operands = operandsOf(command);
  return `      case $flag in
${flagCases(flags)}      esac
      words=(${[...flags.map(({ name }) => `--${name}`), ...GENERAL_WORDS].join(" ")})
${operands.length === 0 ? "" : `      ((COMP_CWORD == 2)) && words+=(${operands.join(" ")})\n`}`;
}

/** What follows a flag, for each kind that has flags. */
function flagCases(flags: ReturnType<typeof flagsOf>): string {
  const kinds: readonly (readonly [FlagKind, string])[] = [
    ["directory", '_clickhouse_backfill_paths -d "$current"'],
    ["file", '_clickhouse_backfill_paths -f "$current"'],
    ["switch", '_clickhouse_backfill_reply -W "true false" -- "$current"'],
    ["text", ""],
  ];
  return kinds
    .map(([kind, action]) => {
      const names = flags.filter((flag) => flag.kind === kind).map(({ name }) => `--${name}`);
      // A switch takes a value behind "=" only.
      const patterns = names.flatMap((name) => (kind === "switch" ? [`${name}=`] : [name, `${name}=`]));
      if (patterns.length === 0) return "";
      return `        ${patterns.join(" | ")})\n${action === "" ? "" : `          ${action}\n`}          return\n          ;;\n`;
    })
    .join("");
}
