import { expect, test } from "bun:test";
import { InsertSize } from "../../../src/copy/insert-size.ts";

function growTimes(size: InsertSize, times: number): number {
  for (let i = 0; i < times; i++) size.grow();
  return size.rows;
}

test("the size of INSERTs shrinks at once and grows back slowly, up to the limit", () => {
  const size = new InsertSize(100);
  expect(growTimes(size, 20)).toBe(100);
  size.shrink(25);
  expect(size.rows).toBe(25);
  expect(growTimes(size, 7)).toBe(25);
  expect(growTimes(size, 1)).toBe(32);
  // A failure in between restarts the count.
  growTimes(size, 7);
  size.shrink(30);
  expect(growTimes(size, 7)).toBe(30);
  expect(growTimes(size, 1)).toBe(38);
  expect(growTimes(size, 8 * 20)).toBe(100);
});

test("the size of INSERTs never grows by shrinking, and is at least 1", () => {
  const size = new InsertSize(10);
  size.shrink(0);
  expect(size.rows).toBe(1);
  size.shrink(8);
  expect(size.rows).toBe(1);
  expect(growTimes(size, 8)).toBe(2);
});
