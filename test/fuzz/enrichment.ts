import type { Block } from "../../src/clickhouse/native/block.ts";
import { NativeFormatError } from "../../src/clickhouse/native/format-error.ts";
import { Enricher } from "../../src/copy/enrich/enricher.ts";
import { EventBlock } from "../../src/copy/event-block.ts";
import { type ResolvedMapping, resolveMapping } from "../../src/mapping/resolve-mapping.ts";
import { SegmentWriter } from "../../src/traces/segment-writer.ts";
import { TraceStore } from "../../src/traces/store.ts";
import { type Random, randomFrom } from "../support/data/random.ts";
import { EVENTS, OBSERVATIONS, shape, TRACES } from "../unit/mapping/shapes.ts";
import { blockOf } from "../unit/native/assemble.ts";
import { decodeBlocks, encodeBlock, fixed, type SlowColumn } from "../unit/native/slow-codec.ts";
import { storeFor, type TraceRow, traceBlock } from "../unit/traces/trace-rows.ts";
import { assemble, release } from "./bounded-assembler.ts";
import { mutated, randomBytes } from "./mutate.ts";
import { demand, type FuzzTarget } from "./target.ts";

const NAMES = ["", "a", "a.b", "attributes", "resourceAttributes", "trace_tags", "k".repeat(130)];
const VALUES = ["", "text", '{"b":1}', "[1,null]", "1e400", '"', "\xff", "\0", "v".repeat(200)];

function mapping(): ResolvedMapping {
  const resolved = resolveMapping({
    source: shape("o", OBSERVATIONS),
    traces: shape("t", TRACES),
    target: shape("e", { ...EVENTS, trace_name: "String" }),
  });
  return { ...resolved, copied: resolved.copied.filter(({ name }) => name === "span_id") };
}

const MAPPING = mapping();
/** Blocks with other columns than were requested end a run with a TypeError that says so. */
const EXPECTED = /its values have no|is missing/;

function keyOf(number: number): string {
  return fixed(number, 8) + fixed(number, 8);
}

function metadata(random: Random): [string, string][] {
  return Array.from({ length: random.below(4) }, () => [random.pick(NAMES), random.pick(VALUES)]);
}

/** Responses of trace queries, each encoded once. */
const responses = new Map<number, Buffer>();

function tracesAt(number: number): Buffer {
  const known = responses.get(number);
  if (known !== undefined) return known;
  const block = traceBlock(traces(randomFrom(number)));
  const bytes = blockOf([{ block, from: 0, to: block.rows }]);
  responses.set(number, bytes);
  return bytes;
}

function traces(random: Random): TraceRow[] {
  return Array.from({ length: 1 + random.below(6) }, () => ({
    key: keyOf(random.below(4)),
    eventTs: random.below(3),
    userId: random.pick(VALUES),
    tags: Array.from({ length: random.below(3) }, () => random.pick(VALUES)),
    metadata: metadata(random),
    bookmarked: random.chance(0.5),
  }));
}

function observations(random: Random): Buffer {
  const rows = Array.from({ length: 1 + random.below(6) }, (_, i) => i);
  const helpers: Readonly<Record<string, Omit<SlowColumn, "name">>> = {
    __trace_key: { type: "FixedString(16)", values: rows.map(() => keyOf(random.below(6))) },
    __metadata: { type: "Map(LowCardinality(String), String)", values: rows.map(() => metadata(random)) },
    __own_version: { type: "String", values: rows.map(() => random.pick(VALUES)) },
    __has_own_version: { type: "UInt8", values: rows.map(() => fixed(random.below(2), 1)) },
    __parent_is_empty: { type: "UInt8", values: rows.map(() => fixed(random.below(2), 1)) },
  };
  return encodeBlock([
    { name: "span_id", type: "String", values: rows.map((i) => `span ${i}`) },
    ...MAPPING.helpers.flatMap(({ name }) => {
      const helper = helpers[name];
      return helper === undefined ? [] : [{ name, ...helper }];
    }),
  ]);
}

/** Blocks of traces, damaged or not, as far as they are blocks. */
function appendTraces(random: Random, writer: SegmentWriter): void {
  const bytes = tracesAt(random.below(200));
  orRefused(() => {
    const mark = writer.mark();
    const { blocks } = assemble([random.chance(0.7) ? mutated(random, bytes) : bytes]);
    try {
      for (const block of blocks) writer.append(block);
    } catch (error) {
      writer.rollBack(mark);
      throw error;
    } finally {
      release(blocks);
    }
  });
}

/** Stores take too long to make for each case to have its own. */
const STORES = 8;
const stores = new Map<number, TraceStore>();

function storeAt(number: number): TraceStore {
  const known = stores.get(number);
  if (known !== undefined) return known;
  const random = randomFrom(number);
  const writer = new SegmentWriter(true);
  for (let left = 4; left > 0; left--) appendTraces(random, writer);
  const { shared, places } = storeFor([writer]);
  const store = new TraceStore(shared);
  for (const { place, records } of places) store.addRecords(place, records);
  store.delete(randomBytes(random, 24), 0, 16);
  stores.set(number, store);
  return store;
}

const batch = new EventBlock(MAPPING, false);
const writer = new SegmentWriter(true);
// A segment is made only once.
writer.append(traceBlock([{ key: keyOf(0) }]));

function orRefused(action: () => void): void {
  try {
    action();
  } catch (error) {
    const isExpected =
      error instanceof NativeFormatError || (error instanceof TypeError && EXPECTED.test(error.message));
    if (!isExpected) throw error;
  }
}

/** A batch of what was read is one block of as many rows, with a JSON object in each. */
function checkBatch(): void {
  if (batch.rows === 0) return;
  const [block, ...others] = decodeBlocks(Buffer.concat(batch.body()));
  demand(block !== undefined && others.length === 0, () => "A batch is not one block");
  demand(block.rows === batch.rows, () => `${block.rows} rows instead of ${batch.rows}`);
  for (const { name, type, values } of block.columns) {
    demand(values.length === batch.rows, () => `${values.length} values of ${name}`);
    if (type !== "JSON") continue;
    for (const value of values) JSON.parse(Buffer.from(value as string, "latin1").toString());
  }
}

function enrich(blocks: readonly Block[], store: TraceStore, maxRows: number): void {
  const enricher = new Enricher(store, MAPPING);
  for (const block of blocks) {
    for (let from = 0; from < block.rows; ) {
      from = batch.take({ block, from, to: block.rows }, maxRows, enricher);
      if (!batch.isFull(maxRows)) continue;
      checkBatch();
      batch.reset();
    }
  }
  checkBatch();
}

/** Traces and observations that arrive damaged are refused, or combined into whole batches. */
export const ENRICHMENT: FuzzTarget = {
  name: "enrichment",
  share: 20_000,
  run: (random) => {
    const start = writer.mark();
    appendTraces(random, writer);
    writer.rollBack(start);
    const bytes = observations(random);
    const changed = random.chance(0.8) ? mutated(random, bytes) : bytes;
    const store = storeAt(random.below(STORES));
    batch.reset();
    const { blocks } = assemble([changed]);
    orRefused(() => enrich(blocks, store, 1 + random.below(8)));
    release(blocks);
  },
};
