import type { BufferPool } from "../../bytes/buffer-pool.ts";
import { ByteWriter } from "../../bytes/byte-writer.ts";
import { KeyMap } from "../../bytes/key-map.ts";
import { streamOf } from "../../clickhouse/native/block.ts";
import { selectBlocks } from "../../clickhouse/select-blocks.ts";
import type { Server, Statement } from "../../clickhouse/server.ts";
import { HELPER } from "../../mapping/mapped-column.ts";
import type { SelectItem } from "../../mapping/resolve-mapping.ts";
import type { ExperimentTables } from "../../plan/experiment-pages.ts";
import type { Page } from "../../plan/pages.ts";
import type { RowFilter } from "../row-filter.ts";
import { type ExperimentItems, readItems } from "./items.ts";
import { NO_ITEM, newestItems } from "./reach.ts";
import { itemsStatement, PARENT_KEY, rootSpansStatement, spansStatement } from "./statements.ts";

const KEY_BYTES = 16;

/**
 * The rows of a page are not those whose spans were read: some came in between, or a replica lags. Whether an item reaches them is not
 * known, so that the spans are to be read again.
 */
export class StaleSpansError extends Error {
  override readonly name: string = "StaleSpansError";
}

/** What stands for the item of a span that was not there when the page's spans were read. */
export const UNKNOWN_SPAN = -2;

/** What reading the items and spans of a page takes. */
export interface ExperimentSource {
  readonly server: Server;
  readonly tables: ExperimentTables;
  /** The experiment columns, as the items have them. */
  readonly itemColumns: readonly SelectItem[];
  /** The observations have a column of their parents. */
  readonly hasParents: boolean;
  /** Leaves out the traces that have no root row. */
  readonly rootFilter: RowFilter;
  readonly buffers: BufferPool;
  readonly signal: AbortSignal;
}

/** What is known of a page's traces before its rows are read: which item reaches which span. */
export class ExperimentPage {
  readonly items: ExperimentItems;
  /** Rows that the sources had of the page's traces. */
  readonly rows: number;
  readonly #numbers: KeyMap;
  readonly #newest: Int32Array;

  constructor(items: ExperimentItems, spans: Spans) {
    const { numbers, parents, count, rows } = spans;
    this.items = items;
    this.rows = rows;
    const own = new Int32Array(count).fill(NO_ITEM);
    // From the oldest on, so that the newest one that names a span stays.
    for (let item = items.count - 1; item >= 0; item--) {
      const span = numbers.get(items.rootKeys, item * KEY_BYTES);
      if (span >= 0) own[span] = item;
    }
    this.#numbers = numbers;
    this.#newest = newestItems({ parents, items: own });
  }

  /** The number of the item that reaches the span whose key stands at `position` in `bytes`; -1: none does; -2: there was no such span. */
  itemOf(bytes: Buffer, position: number): number {
    const span = this.#numbers.get(bytes, position);
    if (span < 0) return UNKNOWN_SPAN;
    const item = this.#newest[span] as number;
    return item === NO_ITEM ? -1 : item;
  }
}

/** Reads the items of a page's traces and the spans below them. Rejects as `selectBlocks` does. */
export async function readExperimentPage(source: ExperimentSource, page: Page): Promise<ExperimentPage> {
  const { server, tables, itemColumns, hasParents, buffers, signal } = source;
  const items = await readItems(server, itemsStatement(tables, itemColumns, page), buffers, signal);
  const pairs = new SpanPairs();
  await pairs.readRoots(source, rootSpansStatement(tables, page));
  await pairs.readSpans(source, spansStatement(tables, page, hasParents));
  return new ExperimentPage(items, pairs.spans());
}

/** Spans by number, and the number of each one's parent; -1: it is not there. */
interface Spans {
  readonly numbers: KeyMap;
  readonly parents: Int32Array;
  readonly count: number;
  /** What they were read from: several rows may be one span, and some no span at all. */
  readonly rows: number;
}

/** Keys of spans and of their parents, as they come. */
class SpanPairs {
  readonly #keys = new ByteWriter();
  readonly #parents = new ByteWriter();
  #count = 0;
  #rows = 0;

  /** Reads root rows, which are their own parents. */
  async readRoots(
    { server, buffers, signal, rootFilter }: ExperimentSource,
    statement: Statement,
  ): Promise<void> {
    for await (const block of selectBlocks(server, statement, buffers, signal)) {
      const { schema, at, bytes } = block;
      const keys = at.start[streamOf(schema, HELPER.spanKey, "fixed")] as number;
      rootFilter.select(block);
      this.#rows += block.rows;
      for (let run = 0; run < rootFilter.runs; run++) {
        const from = rootFilter.from(run);
        this.#add(bytes, keys + from * KEY_BYTES, keys + from * KEY_BYTES, rootFilter.to(run) - from);
      }
      buffers.release(bytes);
    }
  }

  async readSpans({ server, buffers, signal }: ExperimentSource, statement: Statement): Promise<void> {
    for await (const { schema, at, bytes, rows } of selectBlocks(server, statement, buffers, signal)) {
      const keys = at.start[streamOf(schema, HELPER.spanKey, "fixed")] as number;
      const parents = at.start[streamOf(schema, PARENT_KEY, "fixed")] as number;
      this.#add(bytes, keys, parents, rows);
      this.#rows += rows;
      buffers.release(bytes);
    }
  }

  #add(bytes: Buffer, keys: number, parents: number, rows: number): void {
    this.#keys.copy(bytes, keys, keys + rows * KEY_BYTES);
    this.#parents.copy(bytes, parents, parents + rows * KEY_BYTES);
    this.#count += rows;
  }

  spans(): Spans {
    const numbers = new KeyMap(this.#count);
    const rows = new Int32Array(this.#count);
    let count = 0;
    for (let row = 0; row < this.#count; row++) {
      const key = row * KEY_BYTES;
      // Of several rows of one span the first, which is the newest, says what its parent is.
      if (numbers.get(this.#keys.bytes, key) >= 0) continue;
      numbers.set(this.#keys.bytes, key, count);
      rows[count++] = row;
    }
    const parents = new Int32Array(count);
    for (let span = 0; span < count; span++) {
      parents[span] = numbers.get(this.#parents.bytes, (rows[span] as number) * KEY_BYTES);
    }
    return { numbers, parents, count, rows: this.#rows };
  }
}
