import { compareKeys, type KeyRange, type SortingKey } from "../../../src/plan/key-range.ts";
import type { Random } from "../../support/data/random.ts";

/** Texts in which byte order, UTF-16 order and JSON escapes matter. */
const TEXTS = [
  "",
  "a",
  "ab",
  "A",
  "ä",
  "'",
  '"',
  "\\",
  "\n",
  "\0",
  "t-1",
  "\uFF5E",
  "\u{1F600}",
  "zz",
] as const;
const DATES = ["2025-01-01", "2025-01-02", "2025-01-31"] as const;

/** A key whose project alone decides its order. */
export function simpleKey(projectId: string): SortingKey {
  return { projectId, type: "SPAN", date: "2025-01-15", id: "x" };
}

/** Different keys in ascending order. */
export function randomKeys(random: Random, count: number): SortingKey[] {
  const keys = new Map<string, SortingKey>();
  while (keys.size < count) {
    const key = {
      projectId: random.pick(TEXTS),
      type: random.pick(TEXTS),
      date: random.pick(DATES),
      id: random.pick(TEXTS),
    };
    keys.set(JSON.stringify(key), key);
  }
  return [...keys.values()].sort(compareKeys);
}

/** The gapless pages between the bounds. */
export function pagesBetween(range: KeyRange, bounds: readonly SortingKey[]): KeyRange[] {
  const edges = [range.after, ...bounds, range.upTo];
  return edges.slice(1).map((upTo, index) => ({ after: edges[index] ?? null, upTo }));
}

/** The bounds that lie strictly within the range. */
export function boundsWithin(range: KeyRange, bounds: readonly SortingKey[]): SortingKey[] {
  return bounds.filter(
    (bound) =>
      (range.after === null || compareKeys(bound, range.after) > 0) &&
      (range.upTo === null || compareKeys(bound, range.upTo) < 0),
  );
}
