import { expect, test } from "bun:test";
import { estimateMemory, estimateSpeed, windowRowsOf } from "../../../src/forecast/estimate.ts";
import { indexBytes } from "../../../src/traces/store.ts";

const PLAIN = { hasJsonColumn: false, hasTextIndexes: false };
const READING = { rows: 100_000, bytes: 10 ** 8, seconds: 2 };

test("the speed is that of earlier runs, by their median, and a probe's without them", () => {
  expect(estimateSpeed([30_000, 10_000, 20_000], READING, PLAIN)).toEqual({
    rowsPerSecond: 20_000,
    uncertainty: 1.3,
    source: "record",
  });
  expect(estimateSpeed([], READING, PLAIN)).toMatchObject({ source: "probe", uncertainty: 2 });
  expect(estimateSpeed([], null, PLAIN)).toBeNull();
});

test("a target with a JSON column or text indexes takes longer than one without", () => {
  const speedOf = (cost: Partial<typeof PLAIN>): number =>
    estimateSpeed([], READING, { ...PLAIN, ...cost })?.rowsPerSecond ?? 0;
  expect(speedOf({ hasJsonColumn: true })).toBeLessThan(speedOf({}));
  expect(speedOf({ hasTextIndexes: true })).toBeLessThan(speedOf({}));
  expect(speedOf({})).toBeLessThan(READING.rows / READING.seconds);
});

const LOAD = { pipelines: 4, batchRows: 10_000, rowBytes: 1_000 };

test("the memory grows with the traces, by what a sample of them takes", () => {
  const sample = { windowRows: 0, plannedRows: 1_100, records: 1_000, bytes: 80_000 };
  const memory = estimateMemory(11_000_000, sample, LOAD);
  const without = estimateMemory(0, { ...sample, records: 0 }, LOAD);
  expect(memory - without).toBe(10_000_000 * 80 + indexBytes(10_000_000));
});

test("the memory grows with the pipelines and their blocks, which are cut where rows are wide", () => {
  const sample = { windowRows: 0, plannedRows: 0, records: 0, bytes: 0 };
  const memory = (load: Partial<typeof LOAD>): number => estimateMemory(0, sample, { ...LOAD, ...load });
  expect(memory({ pipelines: 5 }) - memory({})).toBe(memory({}) - memory({ pipelines: 3 }));
  expect(memory({ rowBytes: 2_000 })).toBeGreaterThan(memory({}));
  expect(memory({ batchRows: 20_000 })).toBe(memory({ rowBytes: 2_000 }));
  expect(memory({ rowBytes: 10_000 })).toBe(memory({ rowBytes: 100_000 }));
  expect(estimateMemory(0, sample, { ...LOAD, rowBytes: null })).toBe(memory({ rowBytes: 1_400 }));
});

// Peaks of runs without their traces, in MB, and the engine of the target or its name.
test.each([
  [300, 4, 171, "Null"],
  [1_000, 4, 219, "Null"],
  [3_000, 4, 334, "Null"],
  [300, 1, 118, "Null"],
  [1_000, 1, 144, "Null"],
  [3_000, 1, 162, "Null"],
  [10_000, 1, 166, "Null"],
  [1_400, 4, 274, "events"],
  [3_300, 4, 391, "events"],
])("rows of %d B in %d pipelines take what they took, within a fifth", (rowBytes, pipelines, megabytes) => {
  const sample = { windowRows: 0, plannedRows: 0, records: 0, bytes: 0 };
  const ratio = estimateMemory(0, sample, { ...LOAD, rowBytes, pipelines }) / 1e6 / megabytes;
  expect(ratio).toBeGreaterThan(1 / 1.2);
  expect(ratio).toBeLessThan(1.2);
});

test("the window of a month has the days around it", () => {
  expect(windowRowsOf(30_000, 2)).toBe(34_000);
  expect(windowRowsOf(30_000, 0)).toBe(30_000);
});
