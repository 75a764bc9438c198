import type { BufferPool } from "../../bytes/buffer-pool.ts";
import { ByteWriter } from "../../bytes/byte-writer.ts";
import { readVarint } from "../../bytes/varint.ts";
import type { Block, BlockColumn } from "../../clickhouse/native/block.ts";
import { selectBlocks } from "../../clickhouse/select-blocks.ts";
import type { Server, Statement } from "../../clickhouse/server.ts";

/** The name of the column that has the key of the span that an item names; the experiment columns follow it. */
export const ROOT_KEY = "__root_key";

/** The values that one experiment column takes from the items, in wire form, one after another. */
export interface ItemValues {
  readonly name: string;
  readonly bytes: ByteWriter;
  /** Where the value of each item ends. */
  readonly ends: number[];
  /** Of arrays: how many elements each item has. */
  readonly counts: number[];
}

/** The items of the traces of a page, numbered from the newest on. */
export interface ExperimentItems {
  readonly count: number;
  /** 16 bytes for each item. */
  readonly rootKeys: Buffer;
  readonly columns: readonly ItemValues[];
}

/** Reads items; `statement` selects `ROOT_KEY` and the experiment columns, newest items first. Rejects as `selectBlocks` does. */
export async function readItems(
  server: Server,
  statement: Statement,
  buffers: BufferPool,
  signal: AbortSignal,
): Promise<ExperimentItems> {
  const rootKeys = new ByteWriter(1024);
  const columns: ItemValues[] = [];
  let count = 0;
  for await (const block of selectBlocks(server, statement, buffers, signal)) {
    const [key, ...others] = block.schema.columns;
    if (key?.name !== ROOT_KEY) throw new TypeError(`The first column of the items is ${key?.name}`);
    const keys = startOf(block, key, 0);
    rootKeys.copy(block.bytes, keys, keys + block.rows * KEY_BYTES);
    others.forEach((column, i) => {
      columns[i] ??= { name: column.name, bytes: new ByteWriter(1024), ends: [], counts: [] };
      appendColumn(block, column, columns[i] as ItemValues);
    });
    count += block.rows;
    buffers.release(block.bytes);
  }
  return { count, rootKeys: rootKeys.written(), columns };
}

const KEY_BYTES = 16;
/** A null flag and an Int64. */
export const TIME_BYTES = 9;

function appendColumn(block: Block, column: BlockColumn, out: ItemValues): void {
  switch (column.streams.map(({ stream }) => stream.kind).join()) {
    case "strings":
      appendStrings(block, startOf(block, column, 0), null, out);
      return;
    case "offsets,strings":
      appendStrings(block, startOf(block, column, 1), startOf(block, column, 0), out);
      return;
    case "fixed,fixed": {
      const nulls = startOf(block, column, 0);
      const times = startOf(block, column, 1);
      for (let row = 0; row < block.rows; row++) {
        out.bytes.byte(block.bytes[nulls + row] as number);
        out.bytes.copy(block.bytes, times + row * 8, times + row * 8 + 8);
        out.ends.push(out.bytes.length);
      }
      return;
    }
    default:
      throw new TypeError(`The items' column ${column.name} has the type ${column.type}`);
  }
}

/** `offsetsAt`: where the ends of arrays stand; null: there is one string an item. */
function appendStrings(block: Block, stringsAt: number, offsetsAt: number | null, out: ItemValues): void {
  const cursor = { position: stringsAt };
  let element = 0;
  for (let row = 0; row < block.rows; row++) {
    const end = offsetsAt === null ? row + 1 : block.bytes.readUInt32LE(offsetsAt + row * 8);
    const start = cursor.position;
    out.counts.push(end - element);
    for (; element < end; element++) {
      const length = readVarint(block.bytes, cursor);
      cursor.position += length;
    }
    out.bytes.copy(block.bytes, start, cursor.position);
    out.ends.push(out.bytes.length);
  }
}

function startOf(block: Block, column: BlockColumn, stream: number): number {
  const index = column.streams[stream]?.index;
  if (index === undefined)
    throw new TypeError(`The items' column ${column.name} has the type ${column.type}`);
  return block.at.start[index] as number;
}
