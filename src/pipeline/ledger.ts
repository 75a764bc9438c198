import type { KeyRange, SortingKey } from "../plan/key-range.ts";

/** What the pipeline needs of the checkpoint: which key ranges are left, and a durable note of those that are done. */
export interface PageLedger {
  /** An earlier run finished the partition. */
  readonly finished: boolean;
  /** Observations that earlier runs copied. */
  readonly rowsProcessed: number;
  /** The gapless complement of what is done, in key order; the whole key space when nothing is. */
  remaining(): KeyRange[];
  /** Notes a page, every batch of which the server acknowledged. Durable when it returns. */
  finishPage(range: KeyRange, rows: number): void;
  /** Notes that all pages are done; `lastKey` is the greatest key that was planned. Durable when it returns. */
  finishPartition(lastKey: SortingKey | null): void;
}
