import { expect, test } from "bun:test";
import { Scratch } from "../../../src/bytes/scratch.ts";
import { chooseSeed, randomFrom } from "../../support/data/random.ts";

test("buffers do not overlap until they are taken back, and use the same memory afterwards", () => {
  const random = randomFrom(chooseSeed());
  const scratch = new Scratch();
  const memory: Set<unknown>[] = [];
  for (let round = 0; round < 20; round++) {
    scratch.reset();
    // The largest first, so that every round needs the same.
    const sizes = [3_000_000, ...Array.from({ length: 40 }, () => random.below(100_000)), 0, 1];
    const buffers = sizes.map((bytes) => scratch.take(bytes));
    buffers.forEach((buffer, i) => {
      buffer.fill(i);
    });
    buffers.forEach((buffer, i) => {
      expect(buffer.length).toBe(sizes[i] as number);
      expect(buffer.equals(Buffer.alloc(buffer.length, i))).toBe(true);
    });
    memory.push(new Set(buffers.filter(({ length }) => length > 0).map(({ buffer }) => buffer)));
  }
  const all = memory.reduce((union, round) => union.union(round), new Set());
  expect(all.size).toBe(Math.max(...memory.map(({ size }) => size)));
});
