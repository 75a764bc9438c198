import type { MonthlyPhase } from "../plan/phases.ts";
import type { ComparedCell, Side } from "./cell.ts";

/** A range of one side of a comparison. */
export interface ComparedRange {
  readonly side: Side;
  /** The phase whose source is read; null: the target is. */
  readonly phase: MonthlyPhase | null;
  /** Bounds of the sorting key of what is read: `after < key <= upTo`; null leaves that side open. */
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
  /** Rows that were planned. */
  readonly rows: number;
}

/** How far a comparison is: what was planned, which ranges are read, and what they added up to. */
export interface ComparisonState {
  readonly ranges: readonly (ComparedRange & { readonly isDone: boolean })[];
  readonly cells: readonly ComparedCell[];
}

/** Keeps the state of a comparison, so that a later command goes on with it. `subject` says what is compared: another one is not continued. */
export interface ComparisonLedger {
  /** The state that an interrupted comparison of the same left; null: there is none. */
  load(subject: string): ComparisonState | null;
  /** Keeps the state, now and then; `state` is called where it is written. */
  save(subject: string, state: () => ComparisonState): void;
  /** The comparison is over: nothing is left to go on with. */
  finish(): void;
}

/** Keeps nothing. */
export const NO_COMPARISON_LEDGER: ComparisonLedger = {
  load: () => null,
  save: () => {},
  finish: () => {},
};
