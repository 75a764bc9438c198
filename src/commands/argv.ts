import type { AnyOptionSpec, OptionCommand } from "../config/option-spec.ts";
import { commandsOf, OPTION_LIST, takesOption } from "../config/options.ts";
import { quoteValue } from "../config/quote-value.ts";
import { UsageError } from "../errors.ts";
import { COMMANDS, GENERAL_FLAGS, OPTION_COMMANDS, SHELLS, type Shell } from "./commands.ts";
import { nearest } from "./nearest.ts";

/** What the command line requests. `args` are the command's options, each as `--flag=value`. */
export type Invocation =
  /** `command`: the one whose help is wanted; null: the help of all. */
  | { readonly kind: "help"; readonly command: OptionCommand | null }
  | { readonly kind: "version" }
  | { readonly kind: "completion"; readonly shell: Shell }
  | { readonly kind: "man" }
  | {
      readonly kind: "command";
      readonly name: OptionCommand;
      readonly args: readonly string[];
      /** What stands among the options and is none. */
      readonly words: readonly string[];
    };

const SPECS = new Map<string, AnyOptionSpec>(
  OPTION_LIST.flatMap(([, spec]) => (spec.flag === null ? [] : [[spec.flag, spec]])),
);
const SECRET_FLAGS = [...SPECS.values()].flatMap(({ flag, secret }) => (secret ? [`--${flag}`] : []));
const SEE_HELP = "see --help";

/**
 * Checks the command line strictly and writes it in one canonical form, since citty lets unknown flags, flags without a
 * value and stray arguments pass.
 * @throws {UsageError} one line that names the argument and what is accepted.
 */
export function readArgv(argv: readonly string[]): Invocation {
  const name = COMMANDS.find((command) => command.name === argv[0])?.name ?? null;
  if (name !== null && !isOptionCommand(name)) return readPlainCommand(name, argv.slice(1));

  const command = name ?? COMMANDS[0].name;
  const takesWords = COMMANDS.some((spec) => spec.name === command && "operands" in spec);
  const args = new Map<string, string>();
  const words: string[] = [];
  let last: AnyOptionSpec | null = null;
  for (let at = name === null ? 0 : 1; at < argv.length; at += 1) {
    const argument = argv[at] ?? "";
    if (argument === "-h" || argument === "--help") return { kind: "help", command: name };
    if (argument === "-V" || argument === "--version") return { kind: "version" };
    if (!argument.startsWith("-") || argument === "-") {
      if (!takesWords) throw strayArgument(argument, at, last);
      words.push(argument);
      continue;
    }

    const { flag, inline } = splitFlag(argument);
    const spec = specOf(flag, command);
    if (spec === undefined) {
      const negated = negatedToggle(argument, command);
      if (negated === null) throw unknownFlag(argument, command);
      put(args, negated, "false");
    } else if (spec.placeholder === null) {
      put(args, flag, inline ?? "true");
    } else if (inline !== null) {
      put(args, flag, inline);
    } else {
      at += 1;
      put(args, flag, separateValue(flag, spec, argv[at]));
    }
    last = spec ?? null;
  }
  return {
    kind: "command",
    name: command,
    args: Array.from(args, ([flag, value]) => `--${flag}=${value}`),
    words,
  };
}

type PlainCommand = Exclude<(typeof COMMANDS)[number]["name"], OptionCommand>;

function isOptionCommand(name: string): name is OptionCommand {
  return OPTION_COMMANDS.some((known) => known === name);
}

/** A command without options. */
function readPlainCommand(name: PlainCommand, argv: readonly string[]): Invocation {
  if (argv.includes("-h") || argv.includes("--help")) return { kind: "help", command: null };
  if (argv.includes("-V") || argv.includes("--version")) return { kind: "version" };
  const option = argv.find((argument) => argument.startsWith("-"));
  if (option !== undefined) {
    throw new UsageError(`unexpected option ${quotedName(option)}: ${name} takes none`);
  }
  const words = [...argv];
  const invocation = plainInvocation(name, words);
  if (words[0] !== undefined) {
    throw new UsageError(`unexpected argument ${quoteValue(words[0])}: ${SEE_HELP}`);
  }
  return invocation;
}

/** Takes the command's words off the list. */
function plainInvocation(name: PlainCommand, words: string[]): Invocation {
  switch (name) {
    case "completion":
      return { kind: name, shell: readShell(words.shift()) };
    case "help":
      return { kind: name, command: readHelpTopic(words.shift()) };
    default:
      return { kind: name };
  }
}

/** The command whose help is wanted; null: that of all. */
function readHelpTopic(word: string | undefined): OptionCommand | null {
  if (word === undefined || (COMMANDS.some(({ name }) => name === word) && !isOptionCommand(word)))
    return null;
  if (isOptionCommand(word)) return word;
  throw unknownCommand(word, OPTION_COMMANDS);
}

function readShell(word: string | undefined): Shell {
  const accepted = `expected ${listed(SHELLS)}`;
  if (word === undefined) throw new UsageError(`completion has no shell: ${accepted}`);
  const shell = SHELLS.find((known) => known === word);
  if (shell === undefined) throw new UsageError(`unknown shell ${quoteValue(word)}: ${accepted}`);
  return shell;
}

/** The words as a list: `a, b or c`. */
function listed(words: readonly string[], conjunction: "and" | "or" = "or"): string {
  return [words.slice(0, -1).join(", "), words.at(-1)].filter(Boolean).join(` ${conjunction} `);
}

function splitFlag(argument: string): { flag: string; inline: string | null } {
  if (!argument.startsWith("--")) return { flag: "", inline: null };
  const equals = argument.indexOf("=");
  if (equals === -1) return { flag: argument.slice(2), inline: null };
  return { flag: argument.slice(2, equals), inline: argument.slice(equals + 1) };
}

/** The option of that flag; throws where only another command takes it. */
function specOf(flag: string, command: OptionCommand): AnyOptionSpec | undefined {
  const spec = SPECS.get(flag);
  if (spec !== undefined && !takesOption(command, spec)) {
    const names = listed(commandsOf(spec), "and");
    throw new UsageError(`--${flag} is an option of ${names}: ${command} does not take it`);
  }
  return spec;
}

/** The switch that `--no-<switch>` turns off. */
function negatedToggle(argument: string, command: OptionCommand): string | null {
  const flag = argument.startsWith("--no-") ? argument.slice("--no-".length) : "";
  return specOf(flag, command)?.placeholder === null ? flag : null;
}

function put(args: Map<string, string>, flag: string, value: string): void {
  if (args.has(flag)) throw new UsageError(`--${flag} is given twice: expected once`);
  args.set(flag, value);
}

function separateValue(flag: string, spec: AnyOptionSpec, value: string | undefined): string {
  // Only a password may well begin like an option; elsewhere it is one, and not to be shown as a value.
  const looksLikeOption = spec.secret ? /^--|^-h$/ : /^--|^-[a-z]/i;
  if (value !== undefined && !looksLikeOption.test(value)) return value;
  const hint = value === undefined ? "" : ` (a value that begins with a dash is written --${flag}=…)`;
  throw new UsageError(`--${flag} has no value: expected --${flag} <${spec.placeholder}>${hint}`);
}

/** Only the name: a value may be a misspelt password flag's, and mysql's habit is -p<password>. */
function nameOf(argument: string): string {
  return argument.startsWith("--") ? (argument.split("=", 1)[0] ?? "") : argument.slice(0, 2);
}

/** The name as messages show it: what sticks to a password's flag may be the password. */
function quotedName(argument: string): string {
  const name = nameOf(argument);
  const secret = SECRET_FLAGS.find((flag) => name.startsWith(flag));
  return quoteValue(secret === undefined ? name : `${secret}…`);
}

function unknownFlag(argument: string, command: OptionCommand): UsageError {
  const specs = [...SPECS.values()].filter((spec) => takesOption(command, spec));
  const names = [...specs.map(({ flag }) => flag), ...GENERAL_FLAGS.map(({ name }) => name)];
  const suggestion = nearest(
    nameOf(argument),
    names.map((name) => `--${name}`),
  );
  return new UsageError(
    `unknown option ${quotedName(argument)}: ${suggestion === null ? SEE_HELP : `did you mean ${suggestion}?`}`,
  );
}

function strayArgument(argument: string, at: number, last: AnyOptionSpec | null): UsageError {
  if (at === 0) throw unknownCommand(argument, [...COMMANDS.map(({ name }) => name), "options"]);
  // Next to a password it may be the rest of one that was not quoted.
  const shown = last?.secret ? "after a password (quote it)" : quoteValue(argument);
  const hint =
    last?.placeholder === null ? `; a switch takes its value as --${last.flag}=true or =false` : "";
  return new UsageError(`unexpected argument ${shown}: expected options only${hint}`);
}

function unknownCommand(word: string, accepted: readonly string[]): UsageError {
  const suggestion = nearest(
    word,
    COMMANDS.map(({ name }) => name),
  );
  const hint = suggestion === null ? `; ${SEE_HELP}` : `, did you mean ${suggestion}?`;
  return new UsageError(`unknown command ${quoteValue(word)}: expected ${listed(accepted)}${hint}`);
}
