import { type BlockSchema, streamOf } from "../../clickhouse/native/block.ts";
import type { BlockSlice } from "../../clickhouse/native/slice.ts";
import { HELPER } from "../../mapping/mapped-column.ts";
import type { PageOfBlock } from "../experiments/experiment-reader.ts";
import type { DerivedColumns } from "./derived-columns.ts";
import type { RowEnricher } from "./row-enricher.ts";

const KEY_BYTES = 16;

/** Gives rows what the item of a dataset run says, after what another enricher gives them. */
export class ExperimentEnricher implements RowEnricher {
  readonly #inner: RowEnricher;
  readonly #pageOfBlock: PageOfBlock;
  #schema: BlockSchema | null = null;
  #spanKey = -1;

  constructor(inner: RowEnricher, pageOfBlock: PageOfBlock) {
    this.#inner = inner;
    this.#pageOfBlock = pageOfBlock;
  }

  append(slice: BlockSlice, out: DerivedColumns): number {
    const withoutTrace = this.#inner.append(slice, out);
    const { block, from, to } = slice;
    const page = this.#pageOfBlock.get(block);
    if (page === undefined || out.experiments === null) throw new Error("A block of no page of dataset runs");
    if (block.schema !== this.#schema) {
      this.#spanKey = streamOf(block.schema, HELPER.spanKey, "fixed");
      this.#schema = block.schema;
    }
    const keys = block.at.start[this.#spanKey] as number;
    for (let row = from; row < to; row++) {
      const item = page.itemOf(block.bytes, keys + row * KEY_BYTES);
      if (item < 0) out.experiments.appendNone();
      else out.experiments.append(page.items, item);
    }
    return withoutTrace;
  }
}
