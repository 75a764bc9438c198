import type { AnyOptionSpec } from "../config/option-spec.ts";
import { OPTION_LIST } from "../config/options.ts";
import { COMMANDS, type CommandSpec, GENERAL_FLAGS } from "./commands.ts";
import { EXIT_CODE_LINES } from "./help.ts";
import { PROGRAM } from "./version.ts";

/** When the wording below was last changed; mdoc(7) requires a date, and one of the build would make builds differ. */
const DATE = "November 27, 2026";

/**
 * The manual page, section 1, in the macros of mdoc(7), which groff and mandoc both read. Options, commands and exit
 * codes are those of the help text.
 */
export function manualPage(version: string): string {
  const lines = [
    `.Dd ${DATE}`,
    `.Dt ${PROGRAM.toUpperCase()} 1`,
    `.Os ${PROGRAM} ${version}`,
    ...section("NAME", `.Nm ${PROGRAM}`, ".Nd copy months of Langfuse's observations into events"),
    ...section("SYNOPSIS", ...COMMANDS.flatMap(synopsis)),
    ...section("DESCRIPTION", ...DESCRIPTION),
    ...section("OPTIONS", ".Bl -tag -width Ds", ...optionItems(), ...generalItems(), ".El"),
    ...section("COMMANDS", ".Bl -tag -width Ds", ...COMMANDS.flatMap(commandItem), ".El"),
    ...section("ENVIRONMENT", ...ENVIRONMENT, ".Bl -tag -width Ds", ...variableItems(), ".El"),
    ...section("FILES", ...FILES),
    ...section("EXIT STATUS", ".Bl -tag -width Ds", ...EXIT_CODE_LINES.flatMap(exitItem), ".El"),
    ...section("EXAMPLES", ...EXAMPLES),
  ];
  return `${lines.flatMap(wrapped).join("\n")}\n`;
}

const DESCRIPTION = [
  "Copies months of the ClickHouse table",
  ".Li observations",
  "into",
  ".Li events ,",
  "enriching every observation with attributes of its trace.",
  "The rows stream through the machine that the program runs on, so that the server never holds a join in memory.",
  ".Pp",
  "What is finished is kept in a checkpoint.",
  "Running the same command again goes on where an earlier run stopped or was killed;",
  "workers, batch and page sizes may differ from the time before.",
  ".Pp",
  "SIGINT or SIGTERM lets the batches in flight finish, at most 30 seconds; a second one stops at once.",
  "Nothing is lost either way.",
  ".Pp",
  "On a terminal a bar shows how far the run is and what limits it; elsewhere a line is written every 10 seconds.",
  "Logs go to stderr, the final report to stdout.",
];

const ENVIRONMENT = [
  "Every option has a variable, named above.",
  "A flag beats the environment, the environment beats",
  ".Pa .env",
  "in the working directory, and that beats the default.",
  "An empty variable counts as not set.",
];

const FILES = [
  ".Bl -tag -width Ds",
  ".It Pa cursor_state_YYYYMM.json",
  "The checkpoint of a month, in the directory that",
  ".Fl -cursor-state-dir",
  "names.",
  "Deleting it starts the month from the beginning.",
  ".It Pa cursor_state_YYYYMM.lock",
  "Keeps a second run from the same month; one that a killed run left is taken over.",
  ".It Pa control_*.sock",
  "The socket by which",
  ".Cm status",
  "and",
  ".Cm control",
  "reach a live run.",
  ".It Pa .env",
  "Variables, read from the working directory.",
  ".El",
];

const EXAMPLES = [
  "Read and enrich everything, insert nothing:",
  ".Pp",
  `.Dl $ ${PROGRAM} --partition 202511 --dry-run`,
  ".Pp",
  "Backfill the month, in the background, for hours:",
  ".Pp",
  `.Dl $ nohup ${PROGRAM} --partition 202511 > backfill.log 2>&1 &`,
];

function section(title: string, ...lines: readonly string[]): string[] {
  return [`.Sh ${title}`, ...lines];
}

function synopsis({ name, takes, operands = [""] }: CommandSpec, index: number): string[] {
  if (takes === "options") {
    return operands.flatMap((operand) => [
      ".Nm",
      index === 0 ? `.Op Cm ${name}` : `.Cm ${[name, operand].filter(Boolean).join(" ")}`,
      ".Op Ar options",
    ]);
  }
  if (takes === "nothing") return [".Nm", `.Cm ${name}`];
  const words = takes.words.join(" | ");
  return [".Nm", `.Cm ${name}`, takes.isOptional ? `.Op Ar ${words}` : `.Ar ${words}`];
}

function optionItems(): string[] {
  return OPTION_LIST.flatMap(([, spec]) => {
    if (spec.flag === null) return [];
    const value = spec.placeholder === null ? "" : ` Ar ${spec.placeholder}`;
    const command = spec.of === undefined ? [] : prose(`an option of ${spec.of.join(" and ")} alone`);
    return [`.It Fl -${spec.flag}${value}`, ...prose(spec.description), ...command, ...facts(spec)];
  });
}

function generalItems(): string[] {
  return GENERAL_FLAGS.flatMap(({ name, short, description }) => [
    `.It ${short === null ? "" : `Fl ${short} , `}Fl -${name}`,
    ...prose(description),
  ]);
}

function variableItems(): string[] {
  return OPTION_LIST.flatMap(([, spec]) => {
    if (spec.flag !== null) return [];
    const also = spec.borrowed === undefined ? "" : ` , ${spec.borrowed.name}`;
    return [`.It Ev ${spec.variable}${also}`, `${roff(spec.description)}.`, ...defaultOf(spec, ".")];
  });
}

function commandItem({ name, description, takes }: CommandSpec): string[] {
  const argument = typeof takes === "object" ? ` Ar ${takes.of}` : "";
  return [`.It Cm ${name}${argument}`, ...prose(description)];
}

function exitItem([code, meaning]: (typeof EXIT_CODE_LINES)[number]): string[] {
  return [`.It ${code}`, ...prose(meaning)];
}

function facts(spec: AnyOptionSpec): string[] {
  return [...defaultOf(spec, ";"), "variable:", `.Ev ${spec.variable} .`];
}

/** What the option's value is when it is not given, up to and with the punctuation mark `end`. */
function defaultOf({ default: value, unit }: AnyOptionSpec, end: string): string[] {
  if (value === null) return [`Required${end}`];
  if (value === "") return [`Default: empty${end}`];
  // The escape keeps mdoc from taking a lone full stop for punctuation.
  const quoted = `.Ql \\&${roff(value)}`;
  return unit === undefined ? ["Default:", `${quoted} ${end}`] : ["Default:", quoted, `${unit}${end}`];
}

/** A sentence from the help text, which writes no full stops. */
function prose(text: string): string[] {
  return [roff(`${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`)];
}

/** Text as roff takes it literally: no escapes, no line that is a request, and dashes that can be searched for. */
function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^[.']/, "\\&$&");
}

/** Breaks text, but no request, into lines of at most 80 characters, as mandoc's lint requires. */
function wrapped(line: string): string[] {
  if (line.startsWith(".") || line.length <= 80) return [line];
  const at = line.lastIndexOf(" ", 80);
  return at === -1 ? [line] : [line.slice(0, at), ...wrapped(line.slice(at + 1))];
}
