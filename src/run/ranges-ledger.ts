import type { KeyRange } from "../plan/key-range.ts";
import type { PageLedger } from "./page-ledger.ts";

/** A ledger of some ranges, in key order, that are to be copied whatever was copied before. It remembers nothing beyond the run. */
export function rangesLedger(ranges: readonly KeyRange[]): PageLedger {
  const ledger: PageLedger = {
    finished: false,
    isPartial: true,
    targetRows: null,
    rowsProcessed: 0,
    done: [],
    reopen: () => ledger,
    claim: () => {},
    begin: (nowMs) => nowMs,
    remaining: () => [...ranges],
    finishPage: () => {},
    keepOnly: () => {},
    finishPartition: () => {},
  };
  return ledger;
}
