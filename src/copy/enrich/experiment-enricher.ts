import type { BlockSlice } from "../../clickhouse/native/slice.ts";
import type { ItemsOfBlocks } from "../experiments/experiment-reader.ts";
import type { DerivedColumns } from "./derived-columns.ts";
import type { RowEnricher } from "./row-enricher.ts";

/** Gives rows what the item of a dataset run says, after what another enricher gives them. */
export class ExperimentEnricher implements RowEnricher {
  readonly #inner: RowEnricher;
  readonly #itemsOfBlocks: ItemsOfBlocks;

  constructor(inner: RowEnricher, itemsOfBlocks: ItemsOfBlocks) {
    this.#inner = inner;
    this.#itemsOfBlocks = itemsOfBlocks;
  }

  append(slice: BlockSlice, out: DerivedColumns): number {
    const withoutTrace = this.#inner.append(slice, out);
    const { block, from, to } = slice;
    const known = this.#itemsOfBlocks.get(block);
    if (known === undefined || out.experiments === null)
      throw new Error("A block of no page of dataset runs");
    out.experiments.append(known, from, to);
    return withoutTrace;
  }
}
