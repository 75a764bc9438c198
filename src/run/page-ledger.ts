import type { LayoutName } from "../mapping/layouts.ts";
import type { KeyRange, SortingKey } from "../plan/key-range.ts";

/** A key range that is done, and how many observations were read there. */
export interface DoneRange {
  readonly range: KeyRange;
  readonly rows: number;
}

/** The part of the checkpoint that a run uses: the key ranges that are left, and a durable record of those that are done. */
export interface PageLedger {
  /** An earlier run finished the partition. */
  readonly finished: boolean;
  /** Events of the month that the target showed when the partition was finished; null where that was not recorded. */
  readonly targetRows: number | null;
  /** Observations that earlier runs copied. */
  readonly rowsProcessed: number;
  /** Only a part is to be copied: what lies beside it is of no concern. */
  readonly isPartial: boolean;
  /** What earlier runs copied, in key order. */
  readonly done: readonly DoneRange[];
  /** The ledger as if nothing was done, for what an earlier run finished and is to be copied again. Durable with its first page. */
  reopen(): PageLedger;
  /**
   * Says what the rows look like that this run writes, before anything else is called.
   * @throws {CheckpointError} when those of earlier runs looked different.
   */
  claim(layout: LayoutName): void;
  /**
   * Begins a run, at a time in milliseconds since 1970 by the server's clock, and returns when the first run began whose
   * pages are done: nothing of `done` was read before.
   */
  begin(nowMs: number): number;
  /** What is left, in key order: all that is not done, or of a partial ledger its ranges. */
  remaining(): KeyRange[];
  /** Records a page whose every batch the server has acknowledged. Durable when it returns. */
  finishPage(range: KeyRange, rows: number): void;
  /** Records that only these ranges, in key order, are done; all others are copied again. Durable when it returns. */
  keepOnly(done: readonly DoneRange[]): void;
  /**
   * Records that all pages are done; `lastKey` is the greatest key that was planned, `targetRows` what the target shows of the month,
   * `rowsPerSecond` how fast the run was, where that says something. Durable when it returns.
   */
  finishPartition(lastKey: SortingKey | null, targetRows: number | null, rowsPerSecond: number | null): void;
}
