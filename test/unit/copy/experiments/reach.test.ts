import { describe, expect, test } from "bun:test";
import { NO_ITEM, newestItems } from "../../../../src/copy/experiments/reach.ts";
import { withSeed } from "../../../support/property.ts";

/** Walks up from each span, as the rule is written: its own item, or any above it, the newest of all. */
function byWalking(parents: readonly number[], items: readonly number[]): number[] {
  return parents.map((_, span) => {
    const seen = new Set<number>();
    let newest = NO_ITEM;
    for (let at = span; at >= 0 && !seen.has(at); at = parents[at] as number) {
      seen.add(at);
      newest = Math.min(newest, items[at] as number);
    }
    return newest;
  });
}

function newest(parents: readonly number[], items: readonly number[]): number[] {
  return [...newestItems({ parents: Int32Array.from(parents), items: Int32Array.from(items) })];
}

describe("the newest item that reaches a span", () => {
  test("is its own, or one of a span above it", () => {
    const parents = [-1, 0, 1, 0, -1];
    expect(newest(parents, [NO_ITEM, 5, NO_ITEM, NO_ITEM, 7])).toEqual([NO_ITEM, 5, 5, NO_ITEM, 7]);
    expect(newest(parents, [3, 5, NO_ITEM, 1, NO_ITEM])).toEqual([3, 3, 3, 1, NO_ITEM]);
  });

  test("is the same for all spans of a circle, and for those below it", () => {
    expect(newest([2, 0, 1, 1], [9, 4, NO_ITEM, NO_ITEM])).toEqual([4, 4, 4, 4]);
    expect(newest([0], [2])).toEqual([2]);
    expect(newest([0], [NO_ITEM])).toEqual([NO_ITEM]);
  });

  test("is found below a hundred thousand spans", () => {
    const count = 100_000;
    const parents = Array.from({ length: count }, (_, span) => span - 1);
    const items = Array.from({ length: count }, (_, span) => (span === 0 ? 1 : NO_ITEM));
    expect(newest(parents, items).every((item) => item === 1)).toBe(true);
    expect(
      newest(
        parents.map((_, span) => (span === count - 1 ? -1 : span + 1)),
        items,
      ).filter((item) => item === 1),
    ).toHaveLength(1);
  });

  test("is what walking up from each span finds", () => {
    withSeed(500, (random) => {
      const count = 1 + random.below(12);
      const parents = Array.from({ length: count }, () => random.below(count + 2) - 2).map((parent) =>
        Math.max(parent, -1),
      );
      const items = Array.from({ length: count }, () => (random.chance(0.3) ? random.below(5) : NO_ITEM));
      expect(newest(parents, items)).toEqual(byWalking(parents, items));
    });
  });
});
