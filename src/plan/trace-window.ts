import type { QueryParams } from "../clickhouse/server.ts";

/** Days as YYYY-MM-DD: `from` is the first, and `until` the one after the last. */
export interface DateWindow {
  readonly from: string;
  readonly until: string;
}

/**
 * Traces whose timestamp lies in a month or at most `windowDays` days beside it, or within some days, or those that dataset runs name,
 * whenever they were.
 */
export type TraceWindow =
  | { readonly partition: string; readonly windowDays: number }
  | DateWindow
  /** The quoted table of the runs' items. */
  | { readonly datasetRunItems: string };

/** What ClickHouse's Date holds (https://clickhouse.com/docs/sql-reference/data-types/date). */
const FIRST_DATE = "1970-01-01";
const LAST_DATE = "2149-06-06";

/**
 * The condition that selects the window's traces `t`, all versions; `windowParams` has its parameters. By days, as the primary key has
 * them; but beyond what a Date holds, toDate wraps around, and the times themselves must decide.
 */
export function windowCondition(window: TraceWindow): string {
  if ("datasetRunItems" in window) {
    return `(t.project_id, t.id) IN (SELECT i.project_id, i.trace_id FROM ${window.datasetRunItems} AS i FINAL)`;
  }
  const { from, until } = datesOf(window);
  const isWithinDates = from >= FIRST_DATE && until <= LAST_DATE;
  return isWithinDates
    ? "toDate(t.timestamp) >= {from:Date} AND toDate(t.timestamp) < {until:Date}"
    : "t.timestamp >= toDateTime64({from:String}, 3) AND t.timestamp < toDateTime64({until:String}, 3)";
}

/** The parameters of a window's condition. */
export function windowParams(window: TraceWindow): QueryParams {
  return "datasetRunItems" in window ? {} : { ...datesOf(window) };
}

function datesOf(window: Exclude<TraceWindow, { datasetRunItems: string }>): DateWindow {
  return "partition" in window ? windowDates(window.partition, window.windowDays) : window;
}

/** The days of a month and of those around it. */
export function windowDates(partition: string, windowDays: number): DateWindow {
  const year = Number(partition.slice(0, 4));
  const month = Number(partition.slice(4)) - 1;
  const day = (date: number): string => new Date(date).toISOString().slice(0, 10);
  return {
    from: day(Date.UTC(year, month, 1 - windowDays)),
    until: day(Date.UTC(year, month + 1, 1 + windowDays)),
  };
}
