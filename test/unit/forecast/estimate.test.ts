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

test("the memory grows with the traces, by what a sample of them takes, and with the pipelines", () => {
  const sample = { windowRows: 0, plannedRows: 1_100, records: 1_000, bytes: 80_000 };
  const memory = estimateMemory(11_000_000, sample, 4);
  const without = estimateMemory(0, { ...sample, records: 0 }, 4);
  expect(memory - without).toBe(10_000_000 * 80 + indexBytes(10_000_000));
  expect(without - estimateMemory(0, { ...sample, records: 0 }, 1)).toBe(3 * 43e6);
});

test("the window of a month has the days around it", () => {
  expect(windowRowsOf(30_000, 2)).toBe(34_000);
  expect(windowRowsOf(30_000, 0)).toBe(30_000);
});
