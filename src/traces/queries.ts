import { type KeyColumn, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import type { QueryParams, Statement } from "../clickhouse/server.ts";
import { HELPER } from "../mapping/mapped-column.ts";
import { EVENT_TS_SQL, type SelectItem, traceKeySql } from "../mapping/resolve-mapping.ts";

/** Names of the columns that a traces query has besides the attributes. */
export const TRACE_HELPER = { key: HELPER.traceKey, date: HELPER.date, eventTs: HELPER.eventTs } as const;

/** Which traces belong to a run. */
export interface TraceScope {
  /** The quoted traces table. */
  readonly table: string;
  readonly window: TraceWindow;
}

/** Traces whose timestamp lies in a month or at most `windowDays` days beside it, or those that dataset runs name, whenever they were. */
export type TraceWindow =
  | { readonly partition: string; readonly windowDays: number }
  /** The quoted table of the runs' items. */
  | { readonly datasetRunItems: string };

/** A bound between trace pages: (project_id, date). */
export type TraceBound = readonly [projectId: string, date: string];

/** Traces `after < (project_id, date) <= upTo`; null leaves a side open. */
export interface TraceRange {
  readonly after: TraceBound | null;
  readonly upTo: TraceBound | null;
}

/** A range as text for messages; control characters are escaped. */
export function describeTraceRange({ after, upTo }: TraceRange): string {
  const from = after === null ? "from the first key" : `after ${describeBound(after)}`;
  const to = upTo === null ? "to the last key" : `up to ${describeBound(upTo)}`;
  return `keys ${from} ${to}`;
}

function describeBound([projectId, date]: TraceBound): string {
  return `(${JSON.stringify(projectId)}, ${date})`;
}

/** The leading columns of the traces' sorting key. */
const TRACE_KEY: readonly KeyColumn[] = [
  { sql: "t.project_id", type: "String" },
  { sql: "toDate(t.timestamp)", type: "Date" },
];

const KEY_ITEMS = `${traceKeySql("t.project_id", "t.id")} AS ${TRACE_HELPER.key}, ${EVENT_TS_SQL} AS ${TRACE_HELPER.eventTs}`;

/** What ClickHouse's Date holds (https://clickhouse.com/docs/sql-reference/data-types/date). */
const FIRST_DATE = "1970-01-01";
const LAST_DATE = "2149-06-06";

/**
 * The condition that selects the window's traces, all versions. By days, as the primary key has them; but beyond what a Date
 * holds, toDate wraps around, and the times themselves must decide.
 */
function windowCondition({ window }: TraceScope): string {
  if ("datasetRunItems" in window) {
    return `(t.project_id, t.id) IN (SELECT i.project_id, i.trace_id FROM ${window.datasetRunItems} AS i FINAL)`;
  }
  const { from, until } = windowDates(window.partition, window.windowDays);
  const isWithinDates = from >= FIRST_DATE && until <= LAST_DATE;
  return isWithinDates
    ? "toDate(t.timestamp) >= {from:Date} AND toDate(t.timestamp) < {until:Date}"
    : "t.timestamp >= toDateTime64({from:String}, 3) AND t.timestamp < toDateTime64({until:String}, 3)";
}

/** First day of the window and the day after its last, as YYYY-MM-DD. */
export function windowDates(partition: string, windowDays: number): { from: string; until: string } {
  const year = Number(partition.slice(0, 4));
  const month = Number(partition.slice(4)) - 1;
  const day = (date: number): string => new Date(date).toISOString().slice(0, 10);
  return {
    from: day(Date.UTC(year, month, 1 - windowDays)),
    until: day(Date.UTC(year, month + 1, 1 + windowDays)),
  };
}

/** Counts the traces by project and day, in key order. */
export function traceGroupsStatement(scope: TraceScope): Statement {
  return {
    sql: `SELECT t.project_id AS p, toDate(t.timestamp) AS d, count(), isValidUTF8(p) AND length(p) <= 1024
      FROM ${scope.table} AS t WHERE ${windowCondition(scope)} GROUP BY p, d ORDER BY p, d`,
    params: windowParams(scope),
  };
}

/** The newest versions of a range's traces, per sorting key; deleted ones are left out by FINAL. */
export function tracesStatement(
  scope: TraceScope,
  columns: readonly SelectItem[],
  range: TraceRange,
): Statement {
  const condition = keyRangeCondition(TRACE_KEY, range.after, range.upTo);
  const items = columns.map(({ name, sql }) => `${sql} AS ${name}`).join(", ");
  return {
    kind: "traceRead",
    sql: `SELECT ${KEY_ITEMS}, toDate(t.timestamp) AS ${TRACE_HELPER.date}, ${items}
      FROM ${scope.table} AS t FINAL WHERE ${windowCondition(scope)} AND ${condition.sql}`,
    params: { ...windowParams(scope), ...condition.params },
  };
}

/** All deletions in the window. A newer one under another date ends a trace although FINAL shows the older version. */
export function traceDeletionsStatement(scope: TraceScope): Statement {
  return {
    kind: "traceRead",
    sql: `SELECT ${KEY_ITEMS} FROM ${scope.table} AS t WHERE ${windowCondition(scope)} AND t.is_deleted = 1`,
    params: windowParams(scope),
  };
}

/** The traces that current items of dataset runs name; `table` is quoted. */
export function datasetTracesStatement(table: string): Statement {
  return {
    kind: "traceRead",
    sql: `SELECT DISTINCT ${traceKeySql("i.project_id", "i.trace_id")} AS ${TRACE_HELPER.key} FROM ${table} AS i FINAL`,
    params: {},
  };
}

function windowParams({ window }: TraceScope): QueryParams {
  return "datasetRunItems" in window ? {} : windowDates(window.partition, window.windowDays);
}
