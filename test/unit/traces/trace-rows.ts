import type { Block } from "../../../src/clickhouse/native/block.ts";
import { SegmentWriter } from "../../../src/traces/segment-writer.ts";
import {
  createTraceStore,
  type SharedTraceStore,
  segmentPlaces,
  TraceStore,
} from "../../../src/traces/store.ts";
import { assembleOne } from "../native/assemble.ts";
import { encodeBlock, fixed, wire } from "../native/slow-codec.ts";

/** A trace as the traces query returns it; what is left out is empty. */
export interface TraceRow {
  /** 16 characters of one byte. */
  readonly key: string;
  readonly eventTs?: number | bigint;
  /** Days since 1970. */
  readonly date?: number;
  readonly userId?: string;
  readonly sessionId?: string;
  readonly release?: string;
  readonly version?: string;
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly metadata?: readonly (readonly [key: string, value: string])[];
  readonly public?: boolean;
  readonly bookmarked?: boolean;
}

/** The block that holds these traces. */
export function traceBlock(rows: readonly TraceRow[]): Block {
  const texts = (of: (row: TraceRow) => string | undefined) => rows.map((row) => wire(of(row) ?? ""));
  const flags = (of: (row: TraceRow) => boolean | undefined) => rows.map((row) => fixed(of(row) ? 1 : 0, 1));
  const metadata = rows.map((row) => (row.metadata ?? []).map((entry) => entry.map(wire)));
  return assembleOne(
    encodeBlock([
      { name: "__trace_key", type: "FixedString(16)", values: rows.map(({ key }) => key) },
      {
        name: "__event_ts",
        type: "DateTime64(6)",
        values: rows.map(({ eventTs }) => fixed(eventTs ?? 0, 8)),
      },
      { name: "__date", type: "Date", values: rows.map(({ date }) => fixed(date ?? 0, 2)) },
      { name: "user_id", type: "String", values: texts((row) => row.userId) },
      { name: "session_id", type: "String", values: texts((row) => row.sessionId) },
      { name: "release", type: "String", values: texts((row) => row.release) },
      { name: "version", type: "String", values: texts((row) => row.version) },
      { name: "name", type: "String", values: texts((row) => row.name) },
      { name: "tags", type: "Array(String)", values: rows.map(({ tags }) => (tags ?? []).map(wire)) },
      { name: "metadata", type: "Map(LowCardinality(String), String)", values: metadata },
      { name: "public", type: "UInt8", values: flags((row) => row.public) },
      { name: "bookmarked", type: "UInt8", values: flags((row) => row.bookmarked) },
    ]),
  );
}

/** An empty store for what the writers hold, and where their segments are in it. */
export function storeFor(writers: readonly SegmentWriter[]): {
  shared: SharedTraceStore;
  places: { place: number; records: number }[];
} {
  const written = writers.map((writer) => writer.written());
  return {
    shared: createTraceStore(written),
    places: segmentPlaces(written.flatMap(({ segments }) => segments)),
  };
}

/** A store that holds these traces; each inner list is a writer's. */
export function storeOf(...lists: readonly (readonly TraceRow[])[]): TraceStore {
  const writers = lists.map((rows) => {
    const writer = new SegmentWriter(true);
    if (rows.length > 0) writer.append(traceBlock(rows));
    return writer;
  });
  const { shared, places } = storeFor(writers);
  const store = new TraceStore(shared);
  for (const { place, records } of places) store.addRecords(place, records);
  return store;
}
