import { type Block, streamOf } from "../../../src/clickhouse/native/block.ts";
import { TRACE_HELPER } from "../../../src/traces/queries.ts";
import { KEY_BYTES } from "../../../src/traces/record.ts";
import { SegmentWriter } from "../../../src/traces/segment-writer.ts";
import { createTraceStore, segmentPlaces, TraceStore } from "../../../src/traces/store.ts";

/** A store that was filled here, and what it took. */
export interface FilledStore {
  readonly store: TraceStore;
  readonly traces: number;
  /** Size of segments as far as they are filled, and of the index. */
  readonly bytes: number;
  readonly writeMs: number;
  readonly enterMs: number;
}

/** A store of the blocks' traces. */
export function storeOf(blocks: readonly Block[], withJson: boolean): FilledStore {
  const writer = new SegmentWriter(withJson);
  const started = performance.now();
  let recordBytes = 0;
  for (const block of blocks) recordBytes += writer.append(block);
  return index(writer, recordBytes, performance.now() - started);
}

/**
 * A store of `count` traces: those of the blocks over and over, each time under other keys. The keys follow from the
 * trace's number (`writeKey`), so that they can be looked up.
 */
export function largeStore(blocks: readonly Block[], count: number): FilledStore {
  const writer = new SegmentWriter(true);
  let recordBytes = 0;
  let next = 0;
  let writeMs = 0;
  while (next < count) {
    for (const block of blocks) {
      const keys = block.at.start[streamOf(block.schema, TRACE_HELPER.key, "fixed")] as number;
      for (let row = 0; row < block.rows; row++) writeKey(block.bytes, keys + row * KEY_BYTES, next++);
      const started = performance.now();
      recordBytes += writer.append(block);
      writeMs += performance.now() - started;
      if (next >= count) break;
    }
  }
  return index(writer, recordBytes, writeMs);
}

/** Writes the key of trace `number`: bits as good as random, as a hash has them. */
export function writeKey(bytes: Buffer, position: number, number: number): void {
  for (let word = 0; word < 4; word++) {
    let mixed = (number + Math.imul(word, 0x9e3779b9)) | 0;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    bytes.writeInt32LE(mixed ^ (mixed >>> 16), position + word * 4);
  }
}

/** The keys of `count` traces of `total`, in no order. */
export function someKeys(count: number, total: number): Buffer {
  const keys = Buffer.alloc(count * KEY_BYTES);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    writeKey(keys, i * KEY_BYTES, state % total);
  }
  return keys;
}

/** Looks up every key; returns how many are found. */
export function findAll(store: TraceStore, keys: Buffer): number {
  let found = 0;
  for (let at = 0; at < keys.length; at += KEY_BYTES) if (store.find(keys, at) !== 0) found++;
  return found;
}

function index(writer: SegmentWriter, recordBytes: number, writeMs: number): FilledStore {
  const written = writer.written();
  const traces = written.segments.reduce((sum, { records }) => sum + records, 0);
  const started = performance.now();
  const shared = createTraceStore([written]);
  const store = new TraceStore(shared);
  for (const { place, records } of segmentPlaces(written.segments)) store.addRecords(place, records);
  const enterMs = performance.now() - started;
  const bytes = recordBytes + shared.slots.byteLength + shared.keys.bytes.byteLength;
  return { store, traces, bytes, writeMs, enterMs };
}
