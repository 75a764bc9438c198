import { compareKeys, describeRange, type KeyRange, type SortingKey } from "../plan/key-range.ts";

/** A finished range and how many observations it held. */
export interface FinishedPages extends KeyRange {
  readonly rows: number;
}

/** Which part of the key space is done: everything up to the cursor, and ranges beyond it. */
export interface DoneKeys {
  /** Inclusive; `null` while the beginning of the key space is not done. */
  readonly cursor: SortingKey | null;
  /** Disjoint, in key order, and none adjacent to another or to the cursor, except one that is open above. */
  readonly beyondCursor: readonly FinishedPages[];
}

export const NOTHING_DONE: DoneKeys = { cursor: null, beyondCursor: [] };

/**
 * What is done after one more page. Adjacent pages become one; those that follow the cursor move it, except that a page
 * without an upper end stays listed, since no key names the end of the key space.
 * @throws {Error} for a page that is empty or overlaps what is done: a fault of the caller, which must not be written down.
 */
export function addPage(done: DoneKeys, page: FinishedPages): DoneKeys {
  if (!isRange(page)) throw new Error(`A page from ${describeRange(page)} holds no keys`);
  const pages = [...done.beyondCursor, page].sort((a, b) => compareBounds(a.after, b.after));
  const merged = coalesce(pages);
  if (merged === null || isBelow(page.after, done.cursor)) {
    throw new Error(`The page from ${describeRange(page)} overlaps what is already done`);
  }
  return absorb({ cursor: done.cursor, beyondCursor: merged });
}

/** What is done, in key order, with the number of observations: `totalRows` are those of all ranges together. */
export function doneRanges(done: DoneKeys, totalRows: number): FinishedPages[] {
  if (done.cursor === null) return [...done.beyondCursor];
  const rows = done.beyondCursor.reduce((sum, page) => sum - page.rows, totalRows);
  return [{ after: null, upTo: done.cursor, rows: Math.max(0, rows) }, ...done.beyondCursor];
}

/** The gapless complement, in key order. */
export function remainingRanges(done: DoneKeys): KeyRange[] {
  const ranges: KeyRange[] = [];
  let after = done.cursor;
  for (const page of done.beyondCursor) {
    if (!sameBound(page.after, after)) ranges.push({ after, upTo: page.after });
    if (page.upTo === null) return ranges;
    after = page.upTo;
  }
  ranges.push({ after, upTo: null });
  return ranges;
}

/** Whether the ranges are in order, disjoint and beyond the cursor, as {@link addPage} leaves them. */
export function isConsistent(done: DoneKeys): boolean {
  const [first] = done.beyondCursor;
  return (
    done.beyondCursor.every(isRange) &&
    coalesce(done.beyondCursor) !== null &&
    (first === undefined || !isBelow(first.after, done.cursor))
  );
}

/** Joins adjacent neighbours; `null` when pages that should be in key order overlap. */
function coalesce(pages: readonly FinishedPages[]): FinishedPages[] | null {
  const merged: FinishedPages[] = [];
  for (const page of pages) {
    const previous = merged.at(-1);
    if (previous === undefined) merged.push(page);
    // A lower bound that is open lies before all keys, an upper bound that is open after them.
    else if (previous.upTo === null || page.after === null || compareKeys(page.after, previous.upTo) < 0) {
      return null;
    } else if (sameBound(page.after, previous.upTo)) {
      merged[merged.length - 1] = {
        after: previous.after,
        upTo: page.upTo,
        rows: previous.rows + page.rows,
      };
    } else merged.push(page);
  }
  return merged;
}

function absorb(done: DoneKeys): DoneKeys {
  const [first, ...rest] = done.beyondCursor;
  if (first === undefined || first.upTo === null || !sameBound(first.after, done.cursor)) return done;
  return { cursor: first.upTo, beyondCursor: rest };
}

function isRange({ after, upTo }: KeyRange): boolean {
  return after === null || upTo === null || compareKeys(after, upTo) < 0;
}

function sameBound(a: SortingKey | null, b: SortingKey | null): boolean {
  return a === null || b === null ? a === b : compareKeys(a, b) === 0;
}

/** Whether a lower bound lies before the cursor, that is, within what is done. */
function isBelow(after: SortingKey | null, cursor: SortingKey | null): boolean {
  return compareBounds(after, cursor) < 0;
}

/** Compares lower bounds: an open one comes first. */
function compareBounds(a: SortingKey | null, b: SortingKey | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return compareKeys(a, b);
}
