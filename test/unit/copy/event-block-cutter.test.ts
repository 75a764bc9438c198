import { expect, test } from "bun:test";
import type { Block } from "../../../src/clickhouse/native/block.ts";
import { Enricher } from "../../../src/copy/enrich/enricher.ts";
import { EventBlock } from "../../../src/copy/event-block.ts";
import { EventBlockCutter, slicesOf } from "../../../src/copy/event-block-cutter.ts";
import { type ResolvedMapping, resolveMapping } from "../../../src/mapping/resolve-mapping.ts";
import type { Random } from "../../support/data/random.ts";
import { withSeed } from "../../support/property.ts";
import { EVENTS, OBSERVATIONS, shape, TRACES } from "../mapping/shapes.ts";
import { assemble } from "../native/assemble.ts";
import { decodeBlocks, encodeBlock, fixed } from "../native/slow-codec.ts";
import { storeOf } from "../traces/trace-rows.ts";

const KEYS = ["a", "b", "c"].map((letter) => letter.repeat(16));
const NAMES = ["model", "region", "resourceAttributes", "a.b"];

function mapping(): ResolvedMapping {
  const resolved = resolveMapping({
    source: shape("o", OBSERVATIONS),
    traces: shape("t", TRACES),
    target: shape("e", EVENTS),
  });
  // Two copied columns stand for all.
  return { ...resolved, copied: resolved.copied.filter(({ name }) => name === "span_id" || name === "type") };
}

function metadata(random: Random): string[][] {
  return Array.from({ length: random.below(4) }, () => [random.pick(NAMES), random.hex(random.below(9))]);
}

/** Blocks of a page, with rows of any kind. */
function blocksOf({ copied, helpers }: ResolvedMapping, random: Random): Block[] {
  const response = Array.from({ length: 1 + random.below(3) }, () => {
    const rows = Array.from({ length: 1 + random.below(12) }, () => random.hex(1 + random.below(200)));
    const versions = rows.map(() => random.pick(["", "", "v".repeat(150)]));
    const columns = {
      span_id: { type: "String", values: rows },
      type: {
        type: "LowCardinality(String)",
        values: rows.map(() => random.pick(["SPAN", "EVENT", "GENERATION"])),
      },
      __trace_key: {
        type: "FixedString(16)",
        values: rows.map(() => random.pick([...KEYS, "d".repeat(16)])),
      },
      __metadata: { type: "Map(LowCardinality(String), String)", values: rows.map(() => metadata(random)) },
      __own_version: { type: "String", values: versions },
      __has_own_version: { type: "UInt8", values: versions.map((version) => fixed(version ? 1 : 0, 1)) },
      __parent_is_empty: { type: "UInt8", values: rows.map(() => fixed(random.below(2), 1)) },
    };
    const names = [...copied, ...helpers].map(({ name }) => name as keyof typeof columns);
    return encodeBlock(names.map((name) => ({ name, ...columns[name] })));
  });
  return assemble(response);
}

test("parts of a batch equal the batch at those rows", () => {
  const resolved = mapping();
  const store = storeOf(
    KEYS.slice(1).map((key, i) => ({
      key,
      userId: `user ${i}`,
      version: `trace's ${i}`,
      bookmarked: true,
      tags: ["x", "y"].slice(0, i + 1),
      metadata: [
        ["model", "m"],
        [`own ${i}`, "{}"],
      ],
    })),
  );
  withSeed(60, (random) => {
    const blocks = blocksOf(resolved, random);
    const batch = new EventBlock(resolved, false);
    const enricher = new Enricher(store, resolved);
    // The first block may have rows in the batch before.
    for (const [i, block] of blocks.entries()) {
      const from = i === 0 ? random.below(block.rows) : 0;
      if (from > 0) batch.add({ block, from: 0, to: from }, enricher);
      if (from > 0) batch.reset();
      batch.add({ block, from, to: block.rows }, enricher);
    }
    const whole = rowsOf(Buffer.concat(batch.body()));
    const cutter = new EventBlockCutter(resolved, new Enricher(store, resolved));
    for (let i = 0; i < 6; i++) {
      const from = random.below(batch.rows);
      const to = from + 1 + random.below(batch.rows - from);
      expect(rowsOf(Buffer.concat(cutter.body(batch, { from, to })))).toEqual(whole.slice(from, to));
    }
    expect(rowsOf(Buffer.concat(batch.body()))).toEqual(whole);
  });
});

/** The rows of the only block. */
function rowsOf(body: Buffer): unknown[] {
  const [block, ...others] = decodeBlocks(body);
  if (block === undefined || others.length > 0) throw new Error(`${others.length} other blocks`);
  return Array.from({ length: block.rows }, (_, row) => block.columns.map(({ values }) => values[row]));
}

test("slices are cut at the bounds of rows", () => {
  const block = (rows: number): Block => ({ rows }) as Block;
  const [a, b, c] = [block(10), block(5), block(8)] as const;
  const slices = [
    { block: a, from: 7, to: 10 },
    { block: b, from: 0, to: 5 },
    { block: c, from: 0, to: 2 },
  ];
  expect(slicesOf(slices, { from: 0, to: 10 })).toEqual(slices);
  expect(slicesOf(slices, { from: 2, to: 9 })).toEqual([
    { block: a, from: 9, to: 10 },
    { block: b, from: 0, to: 5 },
    { block: c, from: 0, to: 1 },
  ]);
  expect(slicesOf(slices, { from: 4, to: 5 })).toEqual([{ block: b, from: 1, to: 2 }]);
  expect(slicesOf(slices, { from: 9, to: 10 })).toEqual([{ block: c, from: 1, to: 2 }]);
});
