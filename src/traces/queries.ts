import { type KeyColumn, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import type { Statement } from "../clickhouse/server.ts";
import { HELPER } from "../mapping/mapped-column.ts";
import { EVENT_TS_SQL, type SelectItem, traceKeySql } from "../mapping/resolve-mapping.ts";
import { type TraceWindow, windowCondition, windowParams } from "../plan/trace-window.ts";

/** Names of the columns that a traces query has besides the attributes. */
export const TRACE_HELPER = { key: HELPER.traceKey, date: HELPER.date, eventTs: HELPER.eventTs } as const;

/** Which traces belong to a run. */
export interface TraceScope {
  /** The quoted traces table. */
  readonly table: string;
  readonly window: TraceWindow;
}

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

/** Counts the traces by project and day, in key order. */
export function traceGroupsStatement(scope: TraceScope): Statement {
  return {
    sql: `SELECT t.project_id AS p, toDate(t.timestamp) AS d, count(), isValidUTF8(p) AND length(p) <= 1024
      FROM ${scope.table} AS t WHERE ${windowCondition(scope.window)} GROUP BY p, d ORDER BY p, d`,
    params: windowParams(scope.window),
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
      FROM ${scope.table} AS t FINAL WHERE ${windowCondition(scope.window)} AND ${condition.sql}`,
    params: { ...windowParams(scope.window), ...condition.params },
  };
}

/** All deletions in the window. A newer one under another date ends a trace although FINAL shows the older version. */
export function traceDeletionsStatement(scope: TraceScope): Statement {
  return {
    kind: "traceRead",
    sql: `SELECT ${KEY_ITEMS} FROM ${scope.table} AS t WHERE ${windowCondition(scope.window)} AND t.is_deleted = 1`,
    params: windowParams(scope.window),
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
