import type { AnyOptionSpec, OptionCommand, OptionGroup } from "../config/option-spec.ts";
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

/** The groups of options, in their order, with their headings. */
export const GROUPS: readonly (readonly [OptionGroup, string])[] = [
  ["essentials", "Essentials [variable, default]"],
  ["run", "Several months, and starting again"],
  ["tables", "Tables and rows"],
  ["speed", "Who enriches, and the sizes of requests"],
  ["throttle", "Sparing the server"],
  ["connection", "Connection"],
  ["output", "Output"],
  ["verify", "What verify and repair compare"],
];

/** The text of `--help`, or that of one command; no line is wider than 80 columns. */
export function helpText(command: OptionCommand | null = null): string {
  return [
    ...(command === null ? introduction() : headOf(command)),
    ...GROUPS.flatMap(([group, heading]) =>
      section(
        heading,
        optionsOf(group, command).flatMap((spec) => optionLines(spec, command)),
      ),
    ),
    ...section("Every command", GENERAL_FLAGS.flatMap(generalLines)),
    ...section("Environment only", optionsOf("environment", command).flatMap(variableLines)),
    "A flag beats the environment, the environment beats .env in the working",
    "directory, .env beats the default. An empty variable counts as not set.",
    "",
    "Exit codes:",
    ...EXIT_CODE_LINES.map(([code, meaning]) => `  ${code.padEnd(15)}${meaning}`),
    "",
  ].join("\n");
}

function introduction(): string[] {
  return [
    "Copies months of Langfuse's ClickHouse table observations into events,",
    "enriching every observation with attributes of its trace.",
    "",
    `Usage: ${PROGRAM} [run] [OPTIONS]`,
    `       ${PROGRAM} <COMMAND> [OPTIONS]`,
    "",
    ...section(
      "Commands (help <COMMAND> prints the options of one)",
      COMMANDS.flatMap((command) => entry(`  ${synopsisOf(command)}`, command.description)),
    ),
  ];
}

function headOf(name: OptionCommand): string[] {
  const spec: CommandSpec | undefined = COMMANDS.find((command) => command.name === name);
  const operands = spec?.operands ?? [""];
  return [
    ...wrap(`${spec?.description}.`, WIDTH),
    "",
    ...operands.map((operand, at) => {
      const words = [PROGRAM, name, operand, "[OPTIONS]"].filter(Boolean).join(" ");
      return `${at === 0 ? "Usage: " : "       "}${words}`;
    }),
    "",
  ];
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${heading}:`, ...lines, ""];
}

function optionsOf(group: OptionGroup, command: OptionCommand | null): AnyOptionSpec[] {
  return OPTION_LIST.map(([, spec]) => spec).filter(
    (spec) => spec.group === group && (command === null || takesOption(command, spec)),
  );
}

/** A command as it is typed: its name and what it takes. */
export function synopsisOf({ name, takes, operands }: CommandSpec): string {
  if (takes === "options")
    return operands === undefined ? `${name} [OPTIONS]` : `${name} pause|resume|stop|set …`;
  if (takes === "nothing") return name;
  return takes.isOptional ? `${name} [${takes.of.toUpperCase()}]` : `${name} <${takes.words.join("|")}>`;
}

function generalLines({ name, short, description }: (typeof GENERAL_FLAGS)[number]): string[] {
  return entry(`  -${short}, --${name}`, description);
}

function optionLines(spec: AnyOptionSpec, command: OptionCommand | null): string[] {
  const value = spec.placeholder === null ? "" : ` <${spec.placeholder}>`;
  return entry(`  --${spec.flag}${value}`, `${spec.description} ${facts(spec, spec.variable, command)}`);
}

function variableLines(spec: AnyOptionSpec): string[] {
  const also = spec.borrowed === undefined ? "" : `also ${spec.borrowed.name}`;
  return entry(`  ${spec.variable}`, `${spec.description} ${facts(spec, also, null)}`);
}

function facts(spec: AnyOptionSpec, variable: string, command: OptionCommand | null): string {
  const unit = spec.unit === undefined || spec.default === "" ? "" : ` ${spec.unit}`;
  const preset = (command === null ? undefined : spec.defaultOf?.[command]) ?? spec.default;
  const value = preset === null ? "required" : `${preset || "empty"}${unit}`;
  return `[${variable}, ${value}]`;
}

/** A label with its text wrapped beside it. */
function entry(label: string, text: string): string[] {
  const lines = wrap(text, WIDTH - LABEL_WIDTH);
  // A label that is too long has a line of its own.
  const isLong = label.length >= LABEL_WIDTH;
  const beside = lines.map((part, i) => (i === 0 && !isLong ? label : "").padEnd(LABEL_WIDTH) + part);
  return isLong ? [label, ...beside] : beside;
}

/** The lines of a text. A bracket with variable and default stays in one piece. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ (?![^[]*\])/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
