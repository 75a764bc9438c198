import { COMMANDS } from "../../src/commands/commands.ts";
import { EXIT_CODE_LINES, GROUPS, synopsisOf } from "../../src/commands/help.ts";
import type { AnyOptionSpec } from "../../src/config/option-spec.ts";
import { commandsOf, OPTION_LIST } from "../../src/config/options.ts";

/** The text of docs/reference.md, from the definitions of commands and options. */
export function renderReference(): string {
  const specs = OPTION_LIST.map(([, spec]) => spec);
  return `${[
    "# Reference",
    "",
    "Every command, option, variable and exit code. This page is made from their definitions by `bun run reference`; `clickhouse-backfill help <command>` says the same on a terminal,",
    "`clickhouse-backfill man` prints a manual page, and `clickhouse-backfill completion` the completion script for bash, zsh or fish.",
    "",
    "## Commands",
    "",
    ...table(
      ["command", "what it does"],
      COMMANDS.map((command) => [code(synopsisOf(command)), command.description]),
    ),
    "",
    "## Options",
    "",
    "A flag beats the environment, the environment beats `.env` in the working directory, and that beats the default. An empty variable counts as not set. Switches take `=true` and",
    "`=false`, and `--no-…` turns one off.",
    ...GROUPS.flatMap(([group, heading]) => [
      "",
      `### ${heading.replace(/ \[.*/, "")}`,
      "",
      ...table(
        ["flag", "variable", "default", "commands", "meaning"],
        specs.filter((spec) => spec.group === group && spec.flag !== null).map(optionRow),
      ),
    ]),
    "",
    "### Environment only",
    "",
    ...table(
      ["variable", "default", "meaning"],
      specs
        .filter((spec) => spec.flag === null)
        .map((spec) => [
          [spec.variable, spec.borrowed?.name]
            .filter(Boolean)
            .map((name) => code(String(name)))
            .join(", "),
          code(spec.default ?? ""),
          spec.description,
        ]),
    ),
    "",
    "`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name an HTTP proxy on the way to the server; `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS` more certificates to trust; `NO_COLOR` turns colours off.",
    "",
    "## Exit codes",
    "",
    ...table(
      ["code", "when"],
      EXIT_CODE_LINES.map(([codes, meaning]) => [codes, meaning]),
    ),
    "",
    "Output that cannot be written (a reader that has gone, a full disk behind a log) changes neither the run nor its code.",
    "",
    "## Files in the state directory",
    "",
    ...table(["file", "what it is"], FILES),
  ].join("\n")}\n`;
}

const FILES: readonly (readonly string[])[] = [
  [
    "`cursor_state_<partition>.json`",
    "the checkpoint of a month's observations; deleting it starts the month from the beginning",
  ],
  [
    "`cursor_state_<partition>_roots.json`, `cursor_state_experiments.json`",
    "the same of Langfuse v4's root rows, and of its experiments",
  ],
  ["`cursor_state_….lock`", "keeps a second run off; one that a killed run left is taken over"],
  ["`cursor_state_….json.set-aside-…`", "what `--restart` has set aside"],
  ["`verify_state_<partition>.json`", "how far an interrupted `verify` is"],
  ["`control_….sock`", "the socket of a live run"],
];

function optionRow(spec: AnyOptionSpec): string[] {
  const value = spec.placeholder === null ? "" : ` <${spec.placeholder}>`;
  const unit = spec.unit === undefined || spec.default === "" ? "" : ` ${spec.unit}`;
  const preset =
    spec.default === null ? "required" : spec.default === "" ? "empty" : `${code(spec.default)}${unit}`;
  return [
    code(`--${spec.flag}${value}`),
    code(spec.variable),
    preset,
    commandsOf(spec).join(", "),
    spec.description,
  ];
}

function code(text: string): string {
  return `\`${text}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)];
}
