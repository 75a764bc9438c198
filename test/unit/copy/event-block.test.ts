import { expect, test } from "bun:test";
import { EventBlock } from "../../../src/copy/event-block.ts";
import { resolveMapping } from "../../../src/mapping/resolve-mapping.ts";
import { EVENTS, OBSERVATIONS, shape, TRACES } from "../mapping/shapes.ts";

const MIB = 2 ** 20;

function batchOf(rows: number, bytes: number): EventBlock {
  const mapping = resolveMapping({
    source: shape("o", OBSERVATIONS),
    traces: shape("t", TRACES),
    target: shape("e", EVENTS),
  });
  const batch = new EventBlock(mapping, false);
  batch.rows = rows;
  batch.sourceBytes = bytes;
  return batch;
}

/** Whether a batch of that many rows and bytes, of at most `maxRows` rows, takes no more. */
function isFull(rows: number, bytes: number, maxRows: number): boolean {
  return batchOf(rows, bytes).isFull(maxRows);
}

function isNearlyFull(rows: number, maxRows: number): boolean {
  return batchOf(rows, MIB).isNearlyFull(maxRows);
}

test("a batch ends at its limit of rows", () => {
  expect(isFull(9_999, MIB, 10_000)).toBe(false);
  expect(isFull(10_000, MIB, 10_000)).toBe(true);
});

test("a batch ends where a block does when it is nearly full", () => {
  expect(isNearlyFull(4_999, 10_000)).toBe(false);
  expect(isNearlyFull(5_000, 10_000)).toBe(true);
  expect(isNearlyFull(1, 1)).toBe(true);
});

test("a batch of large rows ends at 16 MiB, and at 16 MiB for each 10,000 rows of larger batches", () => {
  expect(isFull(10, 15 * MIB, 1_000)).toBe(false);
  expect(isFull(10, 16 * MIB, 1_000)).toBe(true);
  expect(isFull(10, 16 * MIB, 10_000)).toBe(true);
  expect(isFull(10, 159 * MIB, 100_000)).toBe(false);
  expect(isFull(10, 160 * MIB, 100_000)).toBe(true);
});
