import type { ArgsDef } from "citty";

/** The values of a script's flags. */
export type Flags = ReadonlyMap<string, string>;

/** Takes the values out of what citty parsed; ends the script with code 2 for a flag that it does not know. */
export function checkFlags(
  known: ArgsDef,
  args: Readonly<Record<string, unknown>>,
  rawArgs: readonly string[],
): Flags {
  const names = Object.keys(known);
  const isKnown = (arg: string): boolean =>
    names.some((name) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  const unknown = rawArgs.find((arg) => arg.startsWith("-") && !isKnown(arg));
  if (unknown !== undefined)
    fail(`${unknown}: no such flag; expected ${names.map((name) => `--${name}`).join(", ")}`);
  return new Map(names.map((name) => [name, String(args[name] ?? "")]));
}

/** A flag's value as a whole number of at least `least`, or `usual` when it is not given; ends the script with code 2 when it is invalid. */
export function numberFlag(flags: Flags, name: string, least: number, usual?: number): number {
  const text = flags.get(name) ?? "";
  if (text === "" && usual !== undefined) return usual;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  return fail(`--${name} ${text}: expected a whole number from ${least}`);
}

/** Ends the script with the code for wrong usage. */
export function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
