import type { AnyOptionSpec } from "../config/option-spec.ts";
import { OPTION_LIST, takesOption } from "../config/options.ts";
import { COMMANDS, type CommandSpec, GENERAL_FLAGS } from "./commands.ts";
import { PROGRAM } from "./version.ts";

const WIDTH = 80;
const LABEL_WIDTH = 31;

/** The exit codes and when the program ends with them. */
export const EXIT_CODE_LINES: readonly (readonly [string, string])[] = [
  ["0", "done, or nothing to do"],
  ["1", "the run failed (server, network, data)"],
  ["2", "usage or configuration"],
  ["3", "the checkpoint or its lock forbids the run"],
  ["4", "verify found differences, or repair left some"],
  ["130, 143, 129", "ended by SIGINT, SIGTERM, SIGHUP; run again to continue"],
];

/** The commands that are no backfill. */
const OTHERS = COMMANDS.slice(1);

/** The text of `--help`; no line is wider than 80 columns. */
export function helpText(): string {
  const specs = OPTION_LIST.map(([, spec]) => spec);
  return [
    "Copies one month of Langfuse's ClickHouse table observations into events,",
    "enriching every observation with attributes of its trace.",
    "",
    `Usage: ${PROGRAM} [run] [OPTIONS]`,
    `       ${PROGRAM} verify|repair [OPTIONS]`,
    "",
    "Options [variable, default]:",
    ...specs.filter((spec) => spec.flag !== null && takesOption("run", spec)).flatMap(optionLines),
    "",
    "Options of verify and repair, beside those that choose server, tables, month:",
    ...specs.filter((spec) => !takesOption("run", spec)).flatMap(optionLines),
    "",
    "Options of every command:",
    ...GENERAL_FLAGS.flatMap(({ name, short, description }) =>
      entry(`  ${short === null ? "    " : `-${short}, `}--${name}`, description),
    ),
    "",
    "Environment only:",
    ...specs.filter((spec) => spec.flag === null).flatMap(variableLines),
    "",
    "Other commands:",
    ...OTHERS.flatMap((command) => entry(`  ${synopsisOf(command)}`, command.description)),
    "",
    "A flag beats the environment, the environment beats .env in the working",
    "directory, .env beats the default. An empty variable counts as not set.",
    "",
    "Exit codes:",
    ...EXIT_CODE_LINES.map(([code, meaning]) => `  ${code.padEnd(10)}${meaning}`),
    "",
  ].join("\n");
}

/** A command as it is typed: its name and what it takes. */
export function synopsisOf({ name, takes }: CommandSpec): string {
  if (takes === "options") return `${name} [OPTIONS]`;
  return takes === "nothing" ? name : `${name} <${takes.words.join("|")}>`;
}

function optionLines(spec: AnyOptionSpec): string[] {
  const value = spec.placeholder === null ? "" : ` <${spec.placeholder}>`;
  return entry(`  --${spec.flag}${value}`, `${spec.description} ${facts(spec, spec.variable)}`);
}

function variableLines(spec: AnyOptionSpec): string[] {
  const also = spec.borrowed === undefined ? "" : `also ${spec.borrowed.name}`;
  return entry(`  ${spec.variable}`, `${spec.description} ${facts(spec, also)}`);
}

function facts(spec: AnyOptionSpec, variable: string): string {
  const unit = spec.unit === undefined ? "" : ` ${spec.unit}`;
  const value = spec.default === null ? "required" : `${spec.default || "empty"}${unit}`;
  return `[${variable}, ${value}]`;
}

/** A label with its text wrapped beside it. The bracket with variable and default stays in one piece. */
function entry(label: string, text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ (?![^[]*\])/)) {
    if (line !== "" && line.length + 1 + word.length > WIDTH - LABEL_WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  // A label that is too long has a line of its own.
  const isLong = label.length >= LABEL_WIDTH;
  const beside = lines.map((part, i) => (i === 0 && !isLong ? label : "").padEnd(LABEL_WIDTH) + part);
  return isLong ? [label, ...beside] : beside;
}
