import type { BufferPool } from "../bytes/buffer-pool.ts";
import { ByteWriter } from "../bytes/byte-writer.ts";
import { streamOf } from "../clickhouse/native/block.ts";
import { selectBlocks } from "../clickhouse/select-blocks.ts";
import type { Server } from "../clickhouse/server.ts";
import type { SelectItem } from "../mapping/resolve-mapping.ts";
import {
  datasetTracesStatement,
  TRACE_HELPER,
  type TraceRange,
  type TraceScope,
  traceDeletionsStatement,
  tracesStatement,
} from "./queries.ts";
import { KEY_BYTES } from "./record.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import type { TraceStore } from "./store.ts";
import { createTraceSet, type SharedTraceSet } from "./trace-set.ts";

/** What loading traces requires. */
export interface TraceLoading {
  readonly server: Server;
  readonly scope: TraceScope;
  readonly columns: readonly SelectItem[];
  readonly buffers: BufferPool;
  readonly signal: AbortSignal;
}

/**
 * Writes the traces of a range as records; `onRows` gets the rows and the bytes of the records of each block.
 * After an error the records of the range are dropped, so that it can be loaded again.
 */
export async function loadTraces(
  loading: TraceLoading,
  range: TraceRange,
  writer: SegmentWriter,
  onRows: (rows: number, bytes: number) => void,
): Promise<void> {
  const { server, scope, columns, buffers, signal } = loading;
  const mark = writer.mark();
  const statement = tracesStatement(scope, columns, range);
  try {
    for await (const block of selectBlocks(server, statement, buffers, signal)) {
      onRows(block.rows, writer.append(block));
      buffers.release(block.bytes);
    }
  } catch (error) {
    writer.rollBack(mark);
    throw error;
  }
}

/** The traces that dataset runs name, whatever their month; `table` is the quoted table of the runs' items. */
export async function loadDatasetTraces(loading: TraceLoading, table: string): Promise<SharedTraceSet> {
  const { server, buffers, signal } = loading;
  const keys = new ByteWriter();
  let count = 0;
  for await (const { schema, at, bytes, rows } of selectBlocks(
    server,
    datasetTracesStatement(table),
    buffers,
    signal,
  )) {
    const start = at.start[streamOf(schema, TRACE_HELPER.key, "fixed")] as number;
    keys.copy(bytes, start, start + rows * KEY_BYTES);
    count += rows;
    buffers.release(bytes);
  }
  return createTraceSet(keys.bytes, count);
}

/** Hides the traces whose newest version is a deletion. */
export async function applyDeletions(loading: TraceLoading, store: TraceStore): Promise<void> {
  const { server, scope, buffers, signal } = loading;
  const statement = traceDeletionsStatement(scope);
  for await (const { schema, at, bytes, rows } of selectBlocks(server, statement, buffers, signal)) {
    const keys = at.start[streamOf(schema, TRACE_HELPER.key, "fixed")] as number;
    const eventTs = at.start[streamOf(schema, TRACE_HELPER.eventTs, "fixed")] as number;
    for (let row = 0; row < rows; row++) store.delete(bytes, keys + row * KEY_BYTES, eventTs + row * 8);
    buffers.release(bytes);
  }
}
