import type { Block } from "../clickhouse/native/block.ts";
import type { BlockSlice } from "../clickhouse/native/slice.ts";
import type { ResolvedMapping } from "../mapping/resolve.ts";
import type { TraceStore } from "../traces/store.ts";
import { Batch } from "./batch.ts";
import { Enricher } from "./enrich/enricher.ts";
import { MadeColumns } from "./enrich/made-columns.ts";

/** Rows `from` to `to` (exclusive) of a batch. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** Encodes parts of batches anew, each as one Native block. For batches that the server refuses: seldom, and not fast. */
export class BatchCutter {
  readonly #mapping: ResolvedMapping;
  readonly #store: TraceStore;
  readonly #part: Batch;
  /** Takes the made columns of rows that only have to be passed. */
  readonly #passed: MadeColumns;

  constructor(mapping: ResolvedMapping, store: TraceStore) {
    this.#mapping = mapping;
    this.#store = store;
    this.#part = new Batch(mapping);
    this.#passed = new MadeColumns(mapping.made);
  }

  /** The rows as the body of an insert, which is good until the next call. */
  body(batch: Batch, rows: RowRange): Buffer[] {
    this.#part.reset();
    // The one that fills batches is at work in the midst of a block.
    const enricher = new Enricher(this.#store, this.#mapping.tagsBecomeMetadata);
    let block: Block | null = null;
    let position = 0;
    for (const slice of slicesOf(batch.slices, rows)) {
      if (slice.block !== block) position = 0;
      if (slice.from > position) {
        enricher.append({ block: slice.block, from: position, to: slice.from }, this.#passed);
        this.#passed.reset();
      }
      this.#part.add(slice, enricher);
      block = slice.block;
      position = slice.to;
    }
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
