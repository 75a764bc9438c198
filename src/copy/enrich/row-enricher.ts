import type { BlockSlice } from "../../clickhouse/native/slice.ts";
import type { DerivedColumns } from "./derived-columns.ts";

/** Makes the derived columns of rows. */
export interface RowEnricher {
  /** Appends the columns of the slice's rows to `out`, and returns how many of the rows have no trace. */
  append(slice: BlockSlice, out: DerivedColumns): number;
}

/** For rows of which no column is derived. */
export const NO_ENRICHMENT: RowEnricher = { append: () => 0 };
