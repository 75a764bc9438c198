import { describe, expect, test } from "bun:test";
import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import { chooseSeed, randomFrom } from "../../support/data/random.ts";

const MIB = 2 ** 20;

describe("a pool", () => {
  test("hands out buffers that are large enough, and not much larger", () => {
    const random = randomFrom(chooseSeed());
    const pool = new BufferPool(0);
    for (let round = 0; round < 200; round++) {
      const bytes = 1 + random.below(2 ** (1 + random.below(26)));
      const { length } = pool.acquire(bytes);
      expect(length).toBeGreaterThanOrEqual(bytes);
      expect(length).toBeLessThanOrEqual(Math.max(bytes * 1.25, bytes + 2 ** 18));
    }
  });

  test("reuses returned buffers, the best fit first", () => {
    const pool = new BufferPool(64 * MIB);
    const [small, large] = [pool.acquire(MIB), pool.acquire(8 * MIB)];
    pool.release(large);
    pool.release(small);
    expect(pool.acquire(MIB - 5)).toBe(small);
    expect(pool.acquire(MIB - 5)).toBe(large);
    expect(pool.acquire(MIB - 5)).not.toBe(large);
  });

  test("frees what is larger than all that it may keep, and keeps the others", () => {
    const pool = new BufferPool(4 * MIB);
    const [usual, huge] = [pool.acquire(MIB), pool.acquire(8 * MIB)];
    pool.release(usual);
    pool.release(huge);
    expect(huge.buffer.byteLength).toBe(0);
    expect(pool.acquire(MIB)).toBe(usual);
  });

  test("knows what blocks need, and forgets a single one that needed more", () => {
    const pool = new BufferPool(0);
    pool.noteNeed(10 * MIB);
    expect(pool.usualBytes).toBe(10 * MIB);
    pool.noteNeed(100 * MIB);
    for (let block = 0; block < 100; block++) pool.noteNeed(10 * MIB);
    expect(pool.usualBytes).toBeGreaterThanOrEqual(10 * MIB);
    expect(pool.usualBytes).toBeLessThan(11 * MIB);
  });

  test("keeps a limited number of bytes, and frees the smallest buffers first", () => {
    const pool = new BufferPool(10 * MIB);
    const [small, large] = [pool.acquire(4 * MIB), pool.acquire(8 * MIB)];
    pool.release(small);
    expect(small.buffer.byteLength).toBe(4 * MIB);
    pool.release(large);
    expect(small.buffer.byteLength).toBe(0);
    expect(pool.acquire(MIB)).toBe(large);
  });
});
