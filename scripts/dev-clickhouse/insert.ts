import type { RequestText } from "./body.ts";
import type { Connection, WriteResult } from "./engine.ts";
import { type FifoPool, openWriter } from "./fifo.ts";
import { insertFromFile, type Statement } from "./statement.ts";

/**
 * Runs an insert whose data streams to the engine through a named pipe.
 * @param cancel must resolve only when the engine has taken note of the cancellation or the query has ended
 * @throws what the engine or the data threw; nothing of the block under way is then in the table
 */
export async function insertData(
  connection: Connection,
  fifos: FifoPool,
  text: RequestText,
  statement: Extract<Statement, { kind: "insert" }>,
  cancel: () => Promise<void>,
): Promise<WriteResult> {
  // A pipe has no size, which the engine would take for an empty file, and cannot be read at a position.
  await connection.query("SET engine_file_skip_empty_files = 0, storage_file_read_method = 'pread'", "Null");
  const fifo = fifos.acquire();
  const written = connection.write(insertFromFile(text.sql, statement, fifo.path, text.compression));
  const settled = written.then(
    () => undefined,
    () => undefined,
  );
  try {
    const writer = await openWriter(fifo.path, settled);
    try {
      await feed(writer, text.data);
    } catch (error) {
      // To the engine, the end of the pipe is the end of the data: it must know better before it sees one.
      await Promise.race([settled, cancel()]);
      throw error;
    } finally {
      await writer.close();
      await settled;
    }
  } finally {
    fifo.release();
  }
  return await written;
}

/** Writes what has come while the last write was under way in one go: small writes are five times slower. */
async function feed(
  writer: Awaited<ReturnType<typeof openWriter>>,
  data: AsyncIterable<Uint8Array>,
): Promise<void> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let isTaken = true;
  let pumping: Promise<void> | undefined;
  const pump = async () => {
    while (isTaken && waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      waitingBytes = 0;
      isTaken = await writer.write(batch);
    }
    pumping = undefined;
  };
  try {
    for await (const bytes of data) {
      // After an early failure the rest is read and dropped: clients send everything before they read the response.
      if (!isTaken) continue;
      waiting.push(bytes);
      waitingBytes += bytes.length;
      if (pumping === undefined) {
        pumping = pump();
        // Awaited below; until then its failure is nobody's.
        pumping.catch(() => undefined);
      }
      if (waitingBytes >= MAX_WAITING_BYTES) await pumping;
    }
  } finally {
    await pumping;
  }
}

const MAX_WAITING_BYTES = 2 * 1_048_576;
