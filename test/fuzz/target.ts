import type { Random } from "../support/data/random.ts";

/** A part of the program, and the unusual input it is fed. */
export interface FuzzTarget {
  readonly name: string;
  /** How many of the long form's cases are its own, of a million in all. */
  readonly share: number;
  /** Makes one case of a random source and throws unless the program handles it. */
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
