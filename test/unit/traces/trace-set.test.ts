import { expect, test } from "bun:test";
import { createTraceSet, TraceSet } from "../../../src/traces/trace-set.ts";
import { withSeed } from "../../support/property.ts";

const KEY_BYTES = 16;

test("a set of traces has those that were put in, and no others", () => {
  withSeed(100, (random) => {
    const count = random.below(60);
    const keys = Buffer.from(Array.from({ length: 2 * count * KEY_BYTES }, () => random.below(256)));
    // Repeated keys count once; keys that begin alike share the slot where the search begins.
    for (let key = 1; key < count; key += 4) keys.copy(keys, key * KEY_BYTES, 0, KEY_BYTES);
    for (let key = count; key < 2 * count; key += 2) keys.copy(keys, key * KEY_BYTES, 0, KEY_BYTES - 1);
    const textOf = (key: number): string => keys.toString("hex", key * KEY_BYTES, (key + 1) * KEY_BYTES);
    const expected = new Set(Array.from({ length: count }, (_, key) => textOf(key)));
    const shared = createTraceSet(keys, count);
    const set = new TraceSet(shared);
    expect(set.count).toBe(expected.size);
    expect(shared.slots.byteLength).toBeLessThanOrEqual((count + 2) * 24);
    for (let key = 0; key < 2 * count; key++) {
      expect(set.has(keys, key * KEY_BYTES)).toBe(expected.has(textOf(key)));
    }
  });
});
