import type { BufferPool } from "../bytes/buffer-pool.ts";
import type { Block } from "./native/block.ts";
import { BlockAssembler } from "./native/block-assembler.ts";
import { NativeFormatError } from "./native/format-error.ts";
import { exceptionIn } from "./response.ts";
import type { Server, Statement } from "./server.ts";

/** How much more of a broken response is searched for the server's own words. */
const MAX_EXCEPTION_BYTES = 64 * 1024;

/**
 * The blocks of a query's response, as they arrive; each block's buffer comes from `buffers` and belongs to the caller.
 * Ends normally only when the response is whole. Throws a ServerError, also for an exception within the response, a
 * TransportError or a NativeFormatError; blocks yielded before are valid, but not complete.
 */
export async function* selectBlocks(
  server: Server,
  statement: Statement,
  buffers: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Block, void, void> {
  const response = await server.select(statement, signal);
  const assembler = new BlockAssembler(buffers);
  const chunks = response.chunks[Symbol.asyncIterator]();
  // Servers before 25.11 may write an exception where the rest of a block should stand, so that the block seems whole: the
  // last block counts only when something follows that is no exception.
  const holdsLast = response.exceptionTag === undefined;
  let held: Block | null = null;
  try {
    for (let chunk = await chunks.next(); chunk.done !== true; chunk = await chunks.next()) {
      assembler.add(chunk.value);
      for (let block = assembler.next(); block !== null; block = assembler.next()) {
        response.countRows(block.rows);
        const ready: Block | null = holdsLast ? held : block;
        held = holdsLast ? block : null;
        if (ready !== null) yield ready;
      }
    }
    assembler.end();
    if (held !== null) {
      const last = held;
      held = null;
      yield last;
    }
  } catch (error) {
    if (error instanceof NativeFormatError) await readOn(chunks, assembler);
    const { exceptionTag, queryId } = response;
    const inRest = exceptionIn(assembler.pending, exceptionTag, queryId);
    const inHeld = held === null ? null : exceptionIn(endOf(held, assembler.pending), exceptionTag, queryId);
    throw inRest ?? inHeld ?? error;
  } finally {
    if (held !== null) buffers.release(held.bytes);
    assembler.close();
    await chunks.return?.();
  }
}

/** The end of a block and what follows it. */
function endOf(block: Block, rest: Buffer): Buffer {
  const end = block.at.end[block.at.streams - 1] as number;
  return Buffer.concat([block.bytes.subarray(Math.max(0, end - MAX_EXCEPTION_BYTES), end), rest]);
}

/** Reads the rest of a broken response, up to a limit; it is known to end badly. */
async function readOn(chunks: AsyncIterator<Uint8Array>, assembler: BlockAssembler): Promise<void> {
  for (let bytes = 0; bytes < MAX_EXCEPTION_BYTES; ) {
    const chunk = await chunks.next().catch(() => null);
    if (chunk === null || chunk.done === true) return;
    bytes += chunk.value.length;
    assembler.addUnparsed(chunk.value);
  }
}
