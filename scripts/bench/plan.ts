/** What is to be measured, by the flags. */
export interface Plan {
  readonly observations: number;
  readonly traces: number;
  readonly seed: number;
  readonly runs: number;
  /** Path of the compiled tool. */
  readonly binary: string;
}

/** Prints a line about the progress. */
export type Tell = (line: string) => void;
