import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import { Scratch } from "../../../src/bytes/scratch.ts";
import type { Block } from "../../../src/clickhouse/native/block.ts";
import { BlockAssembler } from "../../../src/clickhouse/native/block-assembler.ts";
import { appendColumn, type BlockSlice } from "../../../src/clickhouse/native/slice.ts";

/** The blocks of a response that arrives in the given chunks; throws when it does not end with a whole block. */
export function assemble(chunks: Iterable<Uint8Array>, buffers = new BufferPool(2 ** 26)): Block[] {
  const assembler = new BlockAssembler(buffers);
  const blocks: Block[] = [];
  try {
    for (const chunk of chunks) {
      assembler.add(chunk);
      for (let block = assembler.next(); block !== null; block = assembler.next()) blocks.push(block);
    }
    assembler.end();
  } finally {
    assembler.close();
  }
  return blocks;
}

/** The only block of the bytes. */
export function assembleOne(bytes: Uint8Array): Block {
  const [block, ...others] = assemble([bytes]);
  if (block === undefined || others.length > 0) throw new Error(`${others.length} other blocks`);
  return block;
}

/** The data of a column as the whole block has it. */
export function columnData(block: Block, column: number): Buffer {
  const streams = block.schema.columns[column]?.streams ?? [];
  const [first, last] = [streams[0], streams.at(-1)];
  if (first === undefined || last === undefined) throw new Error(`No column ${column}`);
  return block.bytes.subarray(block.at.start[first.index], block.at.end[last.index]);
}

/** The slices as one block, headers included. */
export function blockOf(slices: readonly BlockSlice[]): Buffer<ArrayBuffer> {
  const columns = slices[0]?.block.schema.columns ?? [];
  const rows = slices.reduce((sum, { from, to }) => sum + to - from, 0);
  const parts: Buffer[] = [Buffer.from([...varint(columns.length), ...varint(rows)])];
  columns.forEach(({ headerBytes }, i) => {
    parts.push(headerBytes);
    appendColumn(parts, slices, i, new Scratch());
  });
  return Buffer.concat(parts);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
