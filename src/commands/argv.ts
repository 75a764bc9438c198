import type { AnyOptionSpec } from "../config/option-spec.ts";
import { OPTION_LIST } from "../config/options.ts";
import { quoteValue } from "../config/quote-value.ts";
import { UsageError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** The names of the commands; the first is the one that runs when none is named. */
export const COMMAND_NAMES = ["run"] as const;

/** What the command line asks for. `args` are the command's options, each as `--flag=value`. */
export type Invocation =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "command"; readonly name: string; readonly args: readonly string[] };

const SPECS = new Map<string, AnyOptionSpec>(
  OPTION_LIST.flatMap(([, spec]) => (spec.flag === null ? [] : [[spec.flag, spec]])),
);
const FLAG_NAMES = [...SPECS.keys(), "help", "version"].map((name) => `--${name}`);
const SEE_HELP = "see --help";

/**
 * Checks the command line strictly and writes it in one canonical form, since citty lets unknown flags, flags without a
 * value and stray arguments pass.
 * @throws {UsageError} one line that names the argument and what is accepted.
 */
export function readArgv(argv: readonly string[]): Invocation {
  const name = COMMAND_NAMES.find((command) => command === argv[0]) ?? null;
  const args = new Map<string, string>();
  let last: AnyOptionSpec | null = null;
  for (let at = name === null ? 0 : 1; at < argv.length; at += 1) {
    const argument = argv[at] ?? "";
    if (argument === "-h" || argument === "--help") return { kind: "help" };
    if (argument === "--version") return { kind: "version" };
    if (!argument.startsWith("-") || argument === "-") throw strayArgument(argument, at, last);

    const { flag, inline } = splitFlag(argument);
    const spec = SPECS.get(flag);
    if (spec === undefined) {
      const negated = negatedToggle(argument);
      if (negated === null) throw unknownFlag(argument);
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
    name: name ?? COMMAND_NAMES[0],
    args: Array.from(args, ([flag, value]) => `--${flag}=${value}`),
  };
}

function splitFlag(argument: string): { flag: string; inline: string | null } {
  if (!argument.startsWith("--")) return { flag: "", inline: null };
  const equals = argument.indexOf("=");
  if (equals === -1) return { flag: argument.slice(2), inline: null };
  return { flag: argument.slice(2, equals), inline: argument.slice(equals + 1) };
}

/** The switch that `--no-<switch>` turns off. */
function negatedToggle(argument: string): string | null {
  const flag = argument.startsWith("--no-") ? argument.slice("--no-".length) : "";
  return SPECS.get(flag)?.placeholder === null ? flag : null;
}

function put(args: Map<string, string>, flag: string, value: string): void {
  if (args.has(flag)) throw new UsageError(`--${flag} is given twice: expected once`);
  args.set(flag, value);
}

function separateValue(flag: string, spec: AnyOptionSpec, value: string | undefined): string {
  if (value !== undefined && !value.startsWith("--") && value !== "-h") return value;
  const hint = value === undefined ? "" : ` (a value that begins with a dash is written --${flag}=…)`;
  throw new UsageError(`--${flag} has no value: expected --${flag} <${spec.placeholder}>${hint}`);
}

function unknownFlag(argument: string): UsageError {
  // Only the name: a value may be a misspelt password flag's, and mysql's habit is -p<password>.
  const shown = argument.startsWith("--") ? (argument.split("=", 1)[0] ?? "") : argument.slice(0, 2);
  const suggestion = nearest(shown, FLAG_NAMES);
  return new UsageError(
    `unknown option ${quoteValue(shown)}: ${suggestion === null ? SEE_HELP : `did you mean ${suggestion}?`}`,
  );
}

function strayArgument(argument: string, at: number, last: AnyOptionSpec | null): UsageError {
  if (at === 0) {
    const suggestion = nearest(argument, COMMAND_NAMES);
    const hint = suggestion === null ? "" : `, did you mean "${suggestion}"?`;
    return new UsageError(
      `unknown command ${quoteValue(argument)}: expected "run" or options${hint || `; ${SEE_HELP}`}`,
    );
  }
  // Next to a password it may be the rest of one that was not quoted.
  const shown = last?.secret ? "after a password (quote it)" : quoteValue(argument);
  const hint =
    last?.placeholder === null ? `; a switch takes its value as --${last.flag}=true or =false` : "";
  return new UsageError(`unexpected argument ${shown}: expected options only${hint}`);
}
