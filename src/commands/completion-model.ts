import type { OptionCommand } from "../config/option-spec.ts";
import { OPTION_LIST, takesOption } from "../config/options.ts";
import { COMMANDS, type CommandSpec, GENERAL_FLAGS, type WordSpec } from "./commands.ts";

/** What may follow a flag: `switch`: nothing but `=true` and `=false`; `text`: something of which nothing is known. */
export type FlagKind = "switch" | "file" | "directory" | "text";

/** A flag as completion offers it. */
export interface CompletedFlag {
  /** Without the dashes. */
  readonly name: string;
  readonly description: string;
  readonly kind: FlagKind;
  /** Stands for the value; empty for a switch. */
  readonly placeholder: string;
}

/** The flags of a command, in the order of the help text. */
export function flagsOf(command: OptionCommand): CompletedFlag[] {
  return OPTION_LIST.flatMap(([, spec]) => {
    const { flag, description, placeholder, pathOf } = spec;
    if (flag === null || !takesOption(command, spec)) return [];
    const kind = placeholder === null ? "switch" : (pathOf ?? "text");
    return [{ name: flag, description, kind, placeholder: placeholder ?? "" }];
  });
}

/** `--help` and `--version`, with their dashes. */
export const GENERAL_WORDS: readonly string[] = GENERAL_FLAGS.map(({ name }) => `--${name}`);

/** The first words that may follow a command that takes options, as `pause` follows `control`. */
export function operandsOf(command: OptionCommand): string[] {
  const spec: CommandSpec | undefined = COMMANDS.find(({ name }) => name === command);
  return [...new Set((spec?.operands ?? []).map((operand) => operand.split(" ")[0] ?? ""))];
}

/** The commands that take no options, each with the words that may follow it. */
export const PLAIN_COMMANDS: readonly { readonly name: string; readonly follow: WordSpec | null }[] =
  COMMANDS.flatMap(({ name, takes }: CommandSpec) =>
    takes === "options" ? [] : [{ name, follow: takes === "nothing" ? null : takes }],
  );

/** The text in single quotes, for shells that know no escape within them (bash, zsh). */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
