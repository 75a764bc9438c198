import { COMMANDS, GENERAL_FLAGS, OPTION_COMMANDS } from "./commands.ts";
import { type FlagKind, flagsOf, operandsOf, PLAIN_COMMANDS } from "./completion-model.ts";
import { PROGRAM } from "./version.ts";

const OTHERS = OPTION_COMMANDS.slice(1);

/** How fish's `complete` declares what follows a flag; see its manual page. */
const VALUES: Readonly<Record<FlagKind, string>> = {
  switch: "",
  text: " -x",
  directory: " -x -a '(__fish_complete_directories)'",
  file: " -r -F",
};

/** The script for fish 3.0 and later. */
export function fishCompletion(): string {
  return `# fish completion for ${PROGRAM}
# In this shell: ${PROGRAM} completion fish | source

# Nothing but the program stands before the cursor.
function __clickhouse_backfill_is_first
    test (count (commandline -opc)) -eq 1
end

# The command is run: no other one is named.
function __clickhouse_backfill_is_run
    set -l words (commandline -opc)
    not contains -- "$words[2]" ${[...PLAIN_COMMANDS.map(({ name }) => name), ...OTHERS].join(" ")}
end
${OTHERS.map(
  (name) => `
function __clickhouse_backfill_is_${name}
    set -l words (commandline -opc)
    test "$words[2]" = ${name}
end
`,
).join("")}
# The command is the given one, and its word is being written.
function __clickhouse_backfill_follows
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test "$words[2]" = $argv[1]
end

${[
  "-f",
  ...COMMANDS.map(
    ({ name, description }) => `-n __clickhouse_backfill_is_first -a ${name} -d ${quoted(description)}`,
  ),
  ...PLAIN_COMMANDS.flatMap(({ name, follow }) =>
    follow === null
      ? []
      : [`-n '__clickhouse_backfill_follows ${name}' -a ${quoted(follow.words.join(" "))} -d ${follow.of}`],
  ),
  ...OPTION_COMMANDS.flatMap((command) =>
    operandsOf(command).map((operand) => `-n '__clickhouse_backfill_follows ${command}' -a ${operand}`),
  ),
  ...OPTION_COMMANDS.flatMap((command) =>
    flagsOf(command).map(
      ({ name, description, kind }) =>
        `-n __clickhouse_backfill_is_${command} -l ${name}${VALUES[kind]} -d ${quoted(description)}`,
    ),
  ),
  ...GENERAL_FLAGS.map(
    ({ name, short, description }) =>
      `${short === null ? "" : `-s ${short} `}-l ${name} -d ${quoted(description)}`,
  ),
]
  .map((rule) => `complete -c ${PROGRAM} ${rule}\n`)
  .join("")}`;
}

/** The text in single quotes, in which fish knows two escapes. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
