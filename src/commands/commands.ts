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
  /** What stands between the name and the options, as it is typed; of commands that take options. */
  readonly operands?: readonly string[];
}

/** An argument that is one of a few words. */
export interface WordSpec {
  /** What the word names, in lower case. */
  readonly of: string;
  readonly words: readonly string[];
  /** Whether the command works without it. */
  readonly isOptional?: true;
}

/** The commands that take options, the one first that runs when none is named. */
export const OPTION_COMMANDS = [
  "run",
  "verify",
  "repair",
  "plan",
  "status",
  "control",
] as const satisfies readonly OptionCommand[];

/** Every command, in the order of the help text; the first is the one that runs when none is named. */
export const COMMANDS = [
  { name: "run", description: "Backfill the months; the command may be left out", takes: "options" },
  {
    name: "verify",
    description: "Compare the months' sources with the target; reads only, exit code 4 where they differ",
    takes: "options",
  },
  {
    name: "repair",
    description: "Copy the parts of the months that differ again, and compare them; deletes nothing",
    takes: "options",
  },
  {
    name: "plan",
    description: "Say what lies ahead: months, sizes, time, memory, checks; reads only",
    takes: "options",
  },
  {
    name: "status",
    description: "Say how far the runs of a state directory are, live ones and others",
    takes: "options",
  },
  {
    name: "control",
    description: "Steer a run from another terminal",
    takes: "options",
    operands: ["pause", "resume", "stop", "set rate=<RATE>", "set workers=<N>"],
  },
  {
    name: "completion",
    description: "Print the shell's completion script",
    takes: { of: "shell", words: SHELLS },
  },
  { name: "man", description: "Print the manual page (| man -l -)", takes: "nothing" },
  {
    name: "help",
    description: "Print the help text, or that of a command",
    takes: { of: "command", words: OPTION_COMMANDS, isOptional: true },
  },
  { name: "version", description: "Print version and commit", takes: "nothing" },
] as const satisfies readonly CommandSpec[];

/** What every command takes; `short` is another, one-letter flag for the same. */
export const GENERAL_FLAGS = [
  { name: "help", short: "h", description: "Print the help text" },
  { name: "version", short: "V", description: "Print version and commit" },
] as const;
