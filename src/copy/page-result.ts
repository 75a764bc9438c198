import type { RejectedRow } from "./rejected-row.ts";

/** What was copied of a page. */
export interface PageResult {
  /** Rows that were read. */
  readonly rows: number;
  /** Rows among them that are not copied, since a dataset run names their trace. */
  readonly leftOut: number;
  /** Traces among them of which there is a newer version under another date. */
  readonly superseded: number;
  readonly withoutTrace: number;
  /** Size of the page's observations as they came over the wire. */
  readonly bytes: number;
}

/** A page that is copied: `rows` counts all of its observations. */
export interface CopiedPage extends PageResult {
  /** Rows that the server rejects, and that are not in the target. */
  readonly skipped: readonly RejectedRow[];
}

export const NOTHING_COPIED: PageResult = { rows: 0, leftOut: 0, superseded: 0, withoutTrace: 0, bytes: 0 };

/** What both copied. */
export function sumOf(a: PageResult, b: PageResult): PageResult {
  return {
    rows: a.rows + b.rows,
    leftOut: a.leftOut + b.leftOut,
    superseded: a.superseded + b.superseded,
    withoutTrace: a.withoutTrace + b.withoutTrace,
    bytes: a.bytes + b.bytes,
  };
}

/** Where the time of a pipeline goes, in milliseconds. Reading, enriching and inserting are the ones that it waits for. */
export interface TimeSpent {
  /** It waits for a block of the source. */
  readonly readingMs: number;
  readonly enrichingMs: number;
  /** It waits for the server to take the batch before. */
  readonly insertingMs: number;
  /** What of that is due to the rate limit. The time of pauses is no part of any of these. */
  readonly throttledMs: number;
}

export const NO_TIME: TimeSpent = { readingMs: 0, enrichingMs: 0, insertingMs: 0, throttledMs: 0 };

/** Adds times up. */
export function addTime(a: TimeSpent, b: TimeSpent): TimeSpent {
  return {
    readingMs: a.readingMs + b.readingMs,
    enrichingMs: a.enrichingMs + b.enrichingMs,
    insertingMs: a.insertingMs + b.insertingMs,
    throttledMs: a.throttledMs + b.throttledMs,
  };
}
