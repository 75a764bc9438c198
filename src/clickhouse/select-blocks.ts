import { exceptionIn } from "./answer.ts";
import type { Block } from "./native/block.ts";
import { BlockAssembler } from "./native/block-assembler.ts";
import type { BufferPool } from "./native/buffer-pool.ts";
import { NativeFormatError } from "./native/format-error.ts";
import type { Server, Statement } from "./server.ts";

/** How much of a broken answer is read on in search of the server's own words. */
const MAX_EXCEPTION_BYTES = 64 * 1024;

/**
 * The blocks of a query's answer, as they arrive; each block's buffer comes from `buffers` and belongs to the caller.
 * Ends only when the answer is whole. Throws a ServerError, also for an exception in the midst of the answer, a
 * TransportError or a NativeFormatError; blocks handed out before may be used, but they are not all.
 */
export async function* selectBlocks(
  server: Server,
  statement: Statement,
  buffers: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Block, void, void> {
  const answer = await server.select(statement, "Native", signal);
  const assembler = new BlockAssembler(buffers);
  const chunks = answer.chunks[Symbol.asyncIterator]();
  try {
    for (let chunk = await chunks.next(); chunk.done !== true; chunk = await chunks.next()) {
      assembler.add(chunk.value);
      for (let block = assembler.next(); block !== null; block = assembler.next()) {
        answer.countRows(block.rows);
        yield block;
      }
    }
    assembler.end();
  } catch (error) {
    if (error instanceof NativeFormatError) await readOn(chunks, assembler);
    throw exceptionIn(assembler.pending, answer.exceptionTag, answer.queryId) ?? error;
  } finally {
    assembler.close();
    await chunks.return?.();
  }
}

/** Reads what is left of a broken answer, up to a limit; that it ends badly is known already. */
async function readOn(chunks: AsyncIterator<Uint8Array>, assembler: BlockAssembler): Promise<void> {
  for (let bytes = 0; bytes < MAX_EXCEPTION_BYTES; ) {
    const chunk = await chunks.next().catch(() => null);
    if (chunk === null || chunk.done === true) return;
    bytes += chunk.value.length;
    assembler.addUnparsed(chunk.value);
  }
}
