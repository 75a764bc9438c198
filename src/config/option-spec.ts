import type * as v from "valibot";

/** The commands that take options. */
export type OptionCommand = "run" | "verify" | "repair" | "plan" | "status" | "control";

/** What an option is about: the help text lists it there. */
export type OptionGroup =
  | "essentials"
  | "run"
  | "tables"
  | "speed"
  | "throttle"
  | "connection"
  | "output"
  | "verify"
  | "environment";

/** A variable that another convention defines: `read` takes from its value what is meant for this program, if anything. */
export interface BorrowedVariable {
  readonly name: string;
  readonly read: (value: string) => string | null;
}

/**
 * One option of the program, wherever it is given.
 * The default is text and passes the same schema as a given value; `null` means that the option is required.
 */
export interface OptionSpec<Value> {
  /** Without the dashes; `null` for an option that only the environment sets. */
  readonly flag: string | null;
  readonly group: OptionGroup;
  readonly variable: string;
  /** Consulted where `variable` is not set. */
  readonly borrowed?: BorrowedVariable;
  readonly default: string | null;
  /** The default of commands for which it differs. */
  readonly defaultOf?: Readonly<Partial<Record<OptionCommand, string>>>;
  /** Follows the default in the help text. */
  readonly unit?: string;
  readonly description: string;
  /** Stands for the value in the help text; `null` for a switch. */
  readonly placeholder: string | null;
  /** The value is the path of one; completion offers those. */
  readonly pathOf?: "file" | "directory";
  /** The commands that take it; all that talk to the server where it is not given. */
  readonly of?: readonly OptionCommand[];
  /** The value must not appear in any message. */
  readonly secret?: true;
  /** What messages show of a value that may hold credentials. */
  readonly redact?: (text: string) => string;
  /** Its messages say what is accepted: they follow the word "expected". */
  readonly schema: v.GenericSchema<string, Value>;
}

/** An option whose value's type does not matter. */
export type AnyOptionSpec = OptionSpec<unknown>;
