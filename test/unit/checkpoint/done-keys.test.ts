import { describe, expect, test } from "bun:test";
import {
  addPage,
  type DoneKeys,
  isConsistent,
  NOTHING_DONE,
  remainingRanges,
} from "../../../src/checkpoint/done-keys.ts";
import { compareKeys, type KeyRange, WHOLE_KEY_SPACE } from "../../../src/plan/key-range.ts";
import { withSeed } from "../../support/property.ts";
import { pagesBetween, randomKeys, simpleKey } from "./keys.ts";

const A = simpleKey("a");
const B = simpleKey("b");
const C = simpleKey("c");

const add = (done: DoneKeys, after: KeyRange["after"], upTo: KeyRange["upTo"], rows = 1): DoneKeys =>
  addPage(done, { after, upTo, rows });

describe("addPage", () => {
  test("moves the cursor with the first page", () => {
    expect(add(NOTHING_DONE, null, A)).toEqual({ cursor: A, beyondCursor: [] });
  });

  test("lists a page beyond the cursor, and absorbs it when the gap closes", () => {
    const listed = add(NOTHING_DONE, A, B, 7);
    expect(listed).toEqual({ cursor: null, beyondCursor: [{ after: A, upTo: B, rows: 7 }] });
    expect(add(listed, null, A)).toEqual({ cursor: B, beyondCursor: [] });
  });

  test("joins neighbours in the list", () => {
    const done = add(add(NOTHING_DONE, B, C, 2), A, B, 3);
    expect(done.beyondCursor).toEqual([{ after: A, upTo: C, rows: 5 }]);
  });

  test("keeps a page without an upper end in the list, since no key can be the cursor for it", () => {
    const done = add(add(NOTHING_DONE, null, A), A, null, 4);
    expect(done).toEqual({ cursor: A, beyondCursor: [{ after: A, upTo: null, rows: 4 }] });
    expect(remainingRanges(done)).toEqual([]);
    expect(remainingRanges(add(NOTHING_DONE, null, null))).toEqual([]);
  });

  test.each([
    ["twice the same page", null, A],
    ["a page below the cursor", simpleKey(""), A],
    ["a page that reaches into a listed one", A, simpleKey("bb")],
    ["a page around a listed one", A, null],
    ["an empty page", C, C],
    ["a page with its ends swapped", simpleKey("z"), simpleKey("y")],
  ])("refuses %s", (_, after, upTo) => {
    const done = add(add(NOTHING_DONE, null, A), B, C);
    expect(() => add(done, after, upTo)).toThrow();
  });
});

test("in any order of pages, what remains and what is done make up the key space without overlap", () => {
  withSeed(60, (random) => {
    const bounds = randomKeys(random, random.below(12));
    const pages = pagesBetween(WHOLE_KEY_SPACE, bounds);
    let done: DoneKeys = NOTHING_DONE;
    const finished = new Set<KeyRange>();
    for (const page of random.shuffle(pages)) {
      done = addPage(done, { ...page, rows: 1 });
      finished.add(page);
      expect(isConsistent(done)).toBe(true);

      // Every page lies wholly in a remaining range, or wholly outside of all of them.
      const remaining = remainingRanges(done);
      for (const each of pages)
        expect(remaining.some((range) => contains(range, each))).toBe(!finished.has(each));
      // Gaps between listed pages are real gaps, so the list is as short as it can be.
      expect(remaining.every((range) => pages.some(({ after }) => same(after, range.after)))).toBe(true);
      expect(done.beyondCursor.length).toBeLessThanOrEqual(remaining.length + 1);
    }
    expect(remainingRanges(done)).toEqual([]);
  });
});

function contains(outer: KeyRange, inner: KeyRange): boolean {
  const startsBefore =
    outer.after === null || (inner.after !== null && compareKeys(outer.after, inner.after) <= 0);
  const endsAfter = outer.upTo === null || (inner.upTo !== null && compareKeys(inner.upTo, outer.upTo) <= 0);
  return startsBefore && endsAfter;
}

function same(a: KeyRange["after"], b: KeyRange["after"]): boolean {
  return a === null || b === null ? a === b : compareKeys(a, b) === 0;
}
