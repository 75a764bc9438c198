import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import type { Block } from "../../../src/clickhouse/native/block.ts";
import { BlockAssembler } from "../../../src/clickhouse/native/block-assembler.ts";
import { DerivedColumns } from "../../../src/copy/enrich/derived-columns.ts";
import { Enricher } from "../../../src/copy/enrich/enricher.ts";
import { EventBlock } from "../../../src/copy/event-block.ts";
import type { ResolvedMapping } from "../../../src/mapping/resolve-mapping.ts";
import type { TraceStore } from "../../../src/traces/store.ts";

/** The local server does. */
const TAKES_JSON_PATHS = true;

/** Finds the blocks of a response; each is handed on and its buffer used again, as a run does. Returns the rows. */
export function walk(
  chunks: readonly Uint8Array[],
  buffers: BufferPool,
  onBlock?: (block: Block) => void,
): number {
  const assembler = new BlockAssembler(buffers);
  let rows = 0;
  for (const chunk of chunks) {
    assembler.add(chunk);
    for (let block = assembler.next(); block !== null; block = assembler.next()) {
      rows += block.rows;
      onBlock?.(block);
      buffers.release(block.bytes);
    }
  }
  assembler.end();
  assembler.close();
  return rows;
}

/** The blocks of a response, all kept. */
export function keepBlocks(chunks: readonly Uint8Array[]): Block[] {
  const blocks: Block[] = [];
  const buffers = new BufferPool(0);
  const assembler = new BlockAssembler(buffers);
  for (const chunk of chunks) {
    assembler.add(chunk);
    for (let block = assembler.next(); block !== null; block = assembler.next()) blocks.push(block);
  }
  assembler.end();
  return blocks;
}

/** Copies the chunks to one place, as the least that any program must do with them. */
export function copy(chunks: readonly Buffer[], target: Buffer): void {
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(target, at);
}

/** Derives the columns for all rows of the blocks, and drops them. */
export function gather(blocks: readonly Block[], mapping: ResolvedMapping, store: TraceStore): () => number {
  const enricher = new Enricher(store, mapping);
  const made = new DerivedColumns(mapping.derived, TAKES_JSON_PATHS);
  return () => {
    let withoutTrace = 0;
    for (const block of blocks) {
      made.reset();
      // A block is given once, row by row; the copy stands for the next block.
      withoutTrace += enricher.append({ block: { ...block }, from: 0, to: block.rows }, made);
    }
    return withoutTrace;
  };
}

/** Batches that hold all rows of the blocks, ready to be written. */
export function fillBatches(
  blocks: readonly Block[],
  mapping: ResolvedMapping,
  store: TraceStore,
  batchRows: number,
): EventBlock[] {
  const batches: EventBlock[] = [];
  const enricher = new Enricher(store, mapping);
  let batch = new EventBlock(mapping, TAKES_JSON_PATHS);
  for (const block of blocks) {
    for (let from = 0; from < block.rows; ) {
      from = batch.take({ block, from, to: block.rows }, batchRows, enricher);
      if (!batch.isFull(batchRows)) continue;
      batches.push(batch);
      batch = new EventBlock(mapping, TAKES_JSON_PATHS);
    }
  }
  if (batch.rows > 0) batches.push(batch);
  return batches;
}

/** Everything that a run does with a response's bytes on their way to the inserts' bodies: walk, enrich, write. */
export function enrichAlone(
  chunks: readonly Uint8Array[],
  mapping: ResolvedMapping,
  store: TraceStore,
  batchRows: number,
): () => number {
  const enricher = new Enricher(store, mapping);
  const buffers = new BufferPool(2 ** 26);
  const batch = new EventBlock(mapping, TAKES_JSON_PATHS);
  return () => {
    const assembler = new BlockAssembler(buffers);
    const held: Block[] = [];
    let bytes = 0;
    const send = (): void => {
      for (const part of batch.body()) bytes += part.length;
      batch.reset();
      // The last one may go on in the next batch.
      for (const block of held.splice(0, held.length - 1)) buffers.release(block.bytes);
    };
    for (const chunk of chunks) {
      assembler.add(chunk);
      for (let block = assembler.next(); block !== null; block = assembler.next()) {
        held.push(block);
        for (let from = 0; from < block.rows; ) {
          from = batch.take({ block, from, to: block.rows }, batchRows, enricher);
          if (batch.isFull(batchRows)) send();
        }
      }
    }
    if (batch.rows > 0) send();
    for (const block of held) buffers.release(block.bytes);
    assembler.end();
    assembler.close();
    return bytes;
  };
}
