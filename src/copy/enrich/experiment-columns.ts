import { ByteWriter } from "../../bytes/byte-writer.ts";
import type { DerivedColumn } from "../../mapping/resolve-mapping.ts";
import type { BlockItems } from "../experiments/experiment-reader.ts";
import type { ItemValues } from "../experiments/items.ts";
import { StringArrays } from "./string-arrays.ts";

/** A `Nullable(DateTime64(6))` column under construction. */
class NullableTimes {
  readonly nulls = new ByteWriter(1024);
  readonly times = new ByteWriter(1024);

  reset(): void {
    this.nulls.reset();
    this.times.reset();
  }
}

interface ExperimentColumn {
  readonly name: string;
  readonly data: ByteWriter | StringArrays | NullableTimes;
}

/** The experiment columns of a batch, in wire form. */
export class ExperimentColumns {
  readonly #columns: readonly ExperimentColumn[];

  constructor(columns: readonly DerivedColumn[]) {
    this.#columns = columns.flatMap(({ column: { name, kind, source } }) =>
      source.from === "experiment" ? [{ name, data: dataOf(kind) }] : [],
    );
  }

  /** Appends what the rows `from` to `to` (exclusive) of a block have of their items, column by column. */
  append({ items, ofRow }: BlockItems, from: number, to: number): void {
    for (const { name, data } of this.#columns) {
      const values = items.columns.find((column) => column.name === name);
      for (let row = from; row < to; row++) {
        const item = ofRow[row] as number;
        if (item < 0 || values === undefined) appendNone(data);
        else appendValue(data, values, item);
      }
    }
  }

  reset(): void {
    for (const { data } of this.#columns) data.reset();
  }

  /** Appends a column, without its header, to the parts of a block. */
  appendTo(parts: Buffer[], name: string): void {
    const data = this.#columns.find((column) => column.name === name)?.data;
    if (data instanceof ByteWriter) parts.push(data.written());
    else if (data instanceof StringArrays) data.appendTo(parts);
    else if (data !== undefined) parts.push(data.nulls.written(), data.times.written());
  }
}

function dataOf(kind: DerivedColumn["column"]["kind"]): ExperimentColumn["data"] {
  if (kind === "strings") return new StringArrays();
  return kind === "nullableTime" ? new NullableTimes() : new ByteWriter();
}

/** Appends the default. */
function appendNone(data: ExperimentColumn["data"]): void {
  if (data instanceof ByteWriter) data.byte(0);
  else if (data instanceof StringArrays) data.endRow(0);
  else {
    data.nulls.byte(1);
    data.times.uint64(0);
  }
}

function appendValue(
  data: ExperimentColumn["data"],
  { bytes, ends, counts }: ItemValues,
  item: number,
): void {
  const start = item === 0 ? 0 : (ends[item - 1] as number);
  const end = ends[item] as number;
  if (data instanceof ByteWriter) data.copy(bytes.bytes, start, end);
  else if (data instanceof StringArrays) {
    data.elements.copy(bytes.bytes, start, end);
    data.endRow(counts[item] as number);
  } else {
    data.nulls.byte(bytes.bytes[start] as number);
    data.times.copy(bytes.bytes, start + 1, end);
  }
}
