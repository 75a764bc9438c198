import { literal } from "../../src/clickhouse/sql.ts";
import type { BlockStream, Connection } from "./engine.ts";
import { type FifoPool, openReader } from "./fifo.ts";
import type { Statement } from "./statement.ts";

type Select = Extract<Statement, { kind: "select" }>;

/** The response of a SELECT in pieces, computed as they are taken. Frees the query when the taker stops. */
export function selectPieces(
  connection: Connection,
  fifos: FifoPool,
  sql: Buffer,
  statement: Select,
  format: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const isBlockwise = BLOCKWISE_FORMATS.has(format.toUpperCase()) && !statement.hasTotals;
  if (isBlockwise) return blocks(connection.stream(sql.toString(), format));
  const fifo = fifos.acquire();
  return wholeDocument(connection, intoFile(sql, statement, fifo.path, format), fifo);
}

/** Formats whose blocks, one after the other, are the whole response. */
const BLOCKWISE_FORMATS = new Set(
  (
    "NATIVE ROWBINARY TABSEPARATED TSV TABSEPARATEDRAW TSVRAW RAW CSV TSKV JSONEACHROW JSONLINES JSONL NDJSON " +
    "JSONSTRINGSEACHROW JSONCOMPACTEACHROW JSONCOMPACTSTRINGSEACHROW LINEASSTRING MSGPACK NULL"
  ).split(" "),
);

/** Blocks of tables are smaller; those of table functions can be huge, and one at a time is then enough. */
const MAX_AHEAD_BYTES = 16 * 1_048_576;

async function* blocks(stream: BlockStream): AsyncGenerator<Uint8Array, void, undefined> {
  let ahead: ReturnType<BlockStream["fetch"]> | undefined;
  try {
    for (;;) {
      const { bytes, done } = await (ahead ?? stream.fetch());
      if (done) return;
      if (bytes.length === 0) continue;
      yield bytes;
      // The engine computes the next block while this one is on its way. Not before the first is taken: its taker asks
      // for the query's progress, which ends with the query.
      ahead = bytes.length <= MAX_AHEAD_BYTES ? stream.fetch() : undefined;
      ahead?.catch(() => undefined);
    }
  } finally {
    await stream.close();
  }
}

/**
 * Formats with a beginning, an end, or numbered rows: streamed block by block, every block would be a document of its
 * own. The engine writes the whole into a named pipe instead.
 */
async function* wholeDocument(
  connection: Connection,
  sql: string,
  fifo: ReturnType<FifoPool["acquire"]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const finished = connection.query(sql, "Null");
  const settled = finished.then(
    () => undefined,
    () => undefined,
  );
  try {
    const reader = await openReader(fifo.path, settled);
    try {
      for (;;) {
        const buffer = Buffer.allocUnsafe(READ_BYTES);
        const { bytesRead } = await reader.read(buffer, 0, READ_BYTES);
        if (bytesRead === 0) break;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await reader.close();
      await settled;
    }
  } finally {
    fifo.release();
  }
  await finished;
}

/** The engine fills a pipe of 64 KiB at a time. */
const READ_BYTES = 65_536;

function intoFile(sql: Buffer, { outfileAt, format: ownFormat }: Select, path: string, format: string) {
  const select = sql.toString("utf8", 0, outfileAt);
  // The clause goes before the statement's own FORMAT; without one, only a semicolon can follow.
  const output = ownFormat === undefined ? `FORMAT ${format}` : sql.toString("utf8", outfileAt);
  return `${select} INTO OUTFILE ${literal(path)} APPEND COMPRESSION 'none' ${output}`;
}
