import { expect, test } from "bun:test";
import { KeyMap } from "../../../src/bytes/key-map.ts";
import { withSeed } from "../../support/property.ts";

const KEY_BYTES = 16;

test("a key map holds what a Map holds", () => {
  withSeed(100, (random) => {
    const count = 1 + random.below(40);
    const keys = Buffer.from(Array.from({ length: count * KEY_BYTES }, () => random.below(256)));
    // Some keys differ in their last byte alone, and begin their search at the same slot.
    for (let key = 1; key < count; key += 3) keys.copy(keys, key * KEY_BYTES, 0, KEY_BYTES - 1);
    const map = new KeyMap(count);
    const expected = new Map<string, number>();
    const textOf = (key: number): string => keys.toString("hex", key * KEY_BYTES, (key + 1) * KEY_BYTES);
    for (let i = 0; i < count; i++) {
      const key = random.below(count);
      map.set(keys, key * KEY_BYTES, i);
      expected.set(textOf(key), i);
    }
    for (let key = 0; key < count; key++) {
      expect(map.get(keys, key * KEY_BYTES)).toBe(expected.get(textOf(key)) ?? -1);
    }
  });
});
