import type { BlockSlice } from "../clickhouse/native/slice.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { TraceStore } from "../traces/store.ts";
import { Enricher } from "./enrich/enricher.ts";
import { EventBlock } from "./event-block.ts";

/** Rows `from` to `to` (exclusive) of a batch. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** Encodes parts of batches again, each as one Native block. For batches that the server refuses: seldom, and not fast. */
export class EventBlockCutter {
  readonly #part: EventBlock;
  /** Of its own: the one that fills batches is at work in the midst of a block. */
  readonly #enricher: Enricher;

  /** Parts take JSON as text, since the server then says most about a rejected row. */
  constructor(mapping: ResolvedMapping, store: TraceStore) {
    this.#part = new EventBlock(mapping, false);
    this.#enricher = new Enricher(store, mapping.tagsBecomeMetadata);
  }

  /** The rows as the body of an insert, which is good until the next call. */
  body(batch: EventBlock, rows: RowRange): Buffer[] {
    this.#part.reset();
    for (const slice of slicesOf(batch.slices, rows)) this.#part.add(slice, this.#enricher);
    return this.#part.body();
  }
}

/** The slices of some of the rows that `slices` have one after the other. */
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
