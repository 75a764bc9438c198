import { BufferPool } from "../../src/bytes/buffer-pool.ts";
import type { Block } from "../../src/clickhouse/native/block.ts";
import { BlockAssembler } from "../../src/clickhouse/native/block-assembler.ts";
import { NativeFormatError } from "../../src/clickhouse/native/format-error.ts";
import { demand } from "./target.ts";

/** What the assembler may ask for beyond twice the bytes that it was given: room for an ordinary block, in advance. */
const ADVANCE_BYTES = 2 * 2 ** 20;

/** Buffers for reuse, that none may ask too much of. */
class BoundedPool extends BufferPool {
  maxBytes = 0;

  override acquire(minBytes: number): Buffer {
    demand(minBytes <= this.maxBytes, () => `${minBytes} bytes of memory for ${this.maxBytes} allowed`);
    return super.acquire(minBytes);
  }
}

const buffers = new BoundedPool(8);

/** What became of a response's bytes. */
export interface Outcome {
  readonly blocks: readonly Block[];
  readonly isWhole: boolean;
}

/** Gives the pieces to an assembler. Throws whatever it throws but a NativeFormatError. */
export function assemble(chunks: readonly Buffer[]): Outcome {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  buffers.maxBytes = 2 * length + ADVANCE_BYTES;
  const assembler = new BlockAssembler(buffers);
  const blocks: Block[] = [];
  try {
    for (const chunk of chunks) {
      assembler.add(chunk);
      for (let block = assembler.next(); block !== null; block = assembler.next()) blocks.push(block);
    }
    assembler.end();
    return { blocks, isWhole: true };
  } catch (error) {
    if (!(error instanceof NativeFormatError)) throw error;
    return { blocks, isWhole: false };
  } finally {
    assembler.close();
  }
}

/** Gives the blocks' buffers back for the next ones. */
export function release(blocks: readonly Block[]): void {
  for (const { bytes } of blocks) buffers.release(bytes);
}
