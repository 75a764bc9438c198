import type { OptionCommand } from "../config/option-spec.ts";

/** The shells with completion scripts. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** A shell with a completion script. */
export type Shell = (typeof SHELLS)[number];

/** A command as the command line, help, manual page and completion know it. */
export interface CommandSpec {
  readonly name: string;
  readonly description: string;
  /** Its options, one of a few words, or nothing; `--help` and `--version` are taken everywhere. */
  readonly takes: "options" | "nothing" | WordSpec;
}

/** An argument that is one of a few words. */
export interface WordSpec {
  /** What the word names, in lower case. */
  readonly of: string;
  readonly words: readonly string[];
}

/** Every command, in the order of the help text; the first is the one that runs when none is named. */
export const COMMANDS = [
  { name: "run", description: "Backfill the month; the command may be left out", takes: "options" },
  {
    name: "verify",
    description: "Compare the month's sources with the target; reads only, exit code 4 where they differ",
    takes: "options",
  },
  {
    name: "repair",
    description: "Copy the parts of the month that differ again, and compare them; deletes nothing",
    takes: "options",
  },
  {
    name: "completion",
    description: "Print the shell's completion script",
    takes: { of: "shell", words: SHELLS },
  },
  { name: "man", description: "Print the manual page (| man -l -)", takes: "nothing" },
] as const satisfies readonly CommandSpec[];

/** The commands that take options, the one first that runs when none is named. */
export const OPTION_COMMANDS = ["run", "verify", "repair"] as const satisfies readonly OptionCommand[];

/** What every command takes; `short` is another, one-letter flag for the same. */
export const GENERAL_FLAGS = [
  { name: "help", short: "h", description: "Print the help text" },
  { name: "version", short: null, description: "Print version and commit" },
] as const;
