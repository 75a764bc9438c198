import type { BufferPool } from "../../bytes/buffer-pool.ts";
import type { Block, BlockColumn } from "../../clickhouse/native/block.ts";
import { streamOf } from "../../clickhouse/native/block.ts";
import { isTypeName, parseTypeName, unwrap } from "../../clickhouse/native/type-name.ts";
import { selectBlocks } from "../../clickhouse/select-blocks.ts";
import type { Server } from "../../clickhouse/server.ts";
import { HELPER } from "../../mapping/mapped-column.ts";
import type { ExperimentTables } from "../../plan/experiment-pages.ts";
import { type PageReader, type PageRows, type PageToCopy, selectList } from "../read-page.ts";
import { type ExperimentPage, StaleSpansError, UNKNOWN_SPAN } from "./experiment-page.ts";
import type { ExperimentItems } from "./items.ts";
import { observationsOf, tracesOf } from "./statements.ts";

const KEY_BYTES = 16;

/** The items that reach the rows of a block. */
export interface BlockItems {
  readonly items: ExperimentItems;
  /** The number of each row's item; negative: none reaches it. */
  readonly ofRow: Int32Array;
}

/** The items of blocks, for as long as there are the blocks. */
export type ItemsOfBlocks = WeakMap<Block, BlockItems>;

/** Of rows that an item reaches these are the time of writing, so that such a row replaces one that was written without it. */
const TIMES_OF_WRITING: readonly string[] = ["created_at", "updated_at", "event_ts"];

/** What reading the rows of experiments takes. */
export interface ExperimentRows extends Pick<PageRows, "mapping"> {
  readonly server: Server;
  readonly tables: ExperimentTables;
  readonly from: "observations" | "traces";
  readonly buffers: BufferPool;
  /** Returns what is known of a page, which was read before. */
  readonly pageOf: (page: PageToCopy) => ExperimentPage;
  readonly itemsOfBlocks: ItemsOfBlocks;
}

/** Reads the observations or the traces of pages of dataset runs. */
export function experimentReader(rows: ExperimentRows): PageReader {
  const { server, tables, from, mapping, buffers, pageOf, itemsOfBlocks } = rows;
  return {
    async *blocks(page, signal) {
      const { sql, params } = from === "traces" ? tracesOf(tables, page) : observationsOf(tables, page);
      const statement = {
        kind: "pageRead",
        sql: `SELECT ${selectList(mapping)} FROM ${sql}`,
        params,
      } as const;
      const known = pageOf(page);
      for await (const block of selectBlocks(server, statement, buffers, signal)) {
        const ofRow = itemsOf(block, known);
        // A trace that is not the newest of its id is no span, and is left out later.
        if (from === "observations" && ofRow.includes(UNKNOWN_SPAN)) {
          buffers.release(block.bytes);
          throw new StaleSpansError("Rows came that were not there when the page's spans were read");
        }
        setTimesOfWriting(block, ofRow, page.readSinceMs);
        itemsOfBlocks.set(block, { items: known.items, ofRow });
        yield block;
      }
    },
  };
}

function itemsOf(block: Block, page: ExperimentPage): Int32Array {
  const keys = block.at.start[streamOf(block.schema, HELPER.spanKey, "fixed")] as number;
  const items = new Int32Array(block.rows);
  for (let row = 0; row < block.rows; row++) items[row] = page.itemOf(block.bytes, keys + row * KEY_BYTES);
  return items;
}

/** Changes the times of the rows that an item reaches, where they stand: they have a fixed width. */
function setTimesOfWriting(block: Block, itemOfRow: Int32Array, nowMs: number): void {
  const times = block.schema.columns.filter(({ name }) => TIMES_OF_WRITING.includes(name));
  const columns = times.map((column) => ({ start: startOf(block, column), time: timeAs(column, nowMs) }));
  for (let row = 0; row < block.rows; row++) {
    if ((itemOfRow[row] as number) < 0) continue;
    for (const { start, time } of columns) time.copy(block.bytes, start + row * time.length);
  }
}

function startOf(block: Block, { name, streams }: BlockColumn): number {
  const values = streams[0];
  if (values === undefined || streams.length > 1) throw new TypeError(`Column ${name} may be NULL`);
  return block.at.start[values.index] as number;
}

/** A time as a value of the column: a DateTime64, which is an Int64 in fractions of a second since 1970, or a DateTime. */
function timeAs({ name, type }: BlockColumn, ms: number): Buffer {
  const parsed = unwrap(parseTypeName(type), "Nullable");
  if (parsed.name === "DateTime") {
    const seconds = Buffer.alloc(4);
    seconds.writeUInt32LE(Math.floor(ms / 1000));
    return seconds;
  }
  const [precision] = parsed.args;
  if (parsed.name !== "DateTime64" || precision === undefined || isTypeName(precision)) {
    throw new TypeError(`Column ${name} has the type ${type}, expected DateTime64`);
  }
  const value = Buffer.alloc(8);
  const digits = Number(precision.literal);
  const scaled =
    digits >= 3 ? BigInt(ms) * 10n ** BigInt(digits - 3) : BigInt(Math.floor(ms / 10 ** (3 - digits)));
  value.writeBigInt64LE(scaled);
  return value;
}
