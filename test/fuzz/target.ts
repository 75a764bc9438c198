import type { Random } from "../support/data/random.ts";

/** A piece of the program that is given what nobody would give it. */
export interface FuzzTarget {
  readonly name: string;
  /** How many of the long form's cases are its own, of a million in all. */
  readonly share: number;
  /** Makes one case of a random source and throws unless the program stands it. */
  run(random: Random): void;
}

/** What a case must not be found to have. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** Throws a finding unless the condition holds. */
export function demand(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Finding(what());
}
