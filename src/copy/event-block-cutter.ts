import type { BlockSlice } from "../clickhouse/native/slice.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { RowEnricher } from "./enrich/row-enricher.ts";
import { EventBlock } from "./event-block.ts";

/** Rows `from` to `to` (exclusive) of a batch. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** Encodes parts of batches, each as one Native block, to bisect a batch that the server rejects. Rare, so not built for speed. */
export class EventBlockCutter {
  readonly #part: EventBlock;
  /** Its own: the enricher that fills batches may be in the middle of a block. */
  readonly #enricher: RowEnricher;

  /** Parts take JSON as text, since the server then says most about a rejected row. */
  constructor(mapping: ResolvedMapping, enricher: RowEnricher) {
    this.#part = new EventBlock(mapping, false);
    this.#enricher = enricher;
  }

  /** Returns the rows as the body of an INSERT, valid until the next call. */
  body(batch: EventBlock, rows: RowRange): Buffer[] {
    this.#part.reset();
    for (const slice of slicesOf(batch.slices, rows)) this.#part.add(slice, this.#enricher);
    return this.#part.body();
  }
}

/** Returns the slices that hold the given rows of the sequence `slices`. */
export function slicesOf(slices: readonly BlockSlice[], rows: RowRange): BlockSlice[] {
  const some: BlockSlice[] = [];
  let before = 0;
  for (const { block, from, to } of slices) {
    const first = Math.max(from, from + rows.from - before);
    const end = Math.min(to, from + rows.to - before);
    if (first < end) some.push({ block, from: first, to: end });
    before += to - from;
  }
  return some;
}
