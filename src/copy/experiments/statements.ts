import type { Condition } from "../../clickhouse/key-range-sql.ts";
import type { QueryParams, Statement } from "../../clickhouse/server.ts";
import { identifier } from "../../clickhouse/sql.ts";
import { ROOT_SPAN_SQL } from "../../mapping/experiment-columns.ts";
import { HELPER } from "../../mapping/mapped-column.ts";
import { ROOT_HELPERS, type SelectItem, SPAN_KEY, spanKeySql } from "../../mapping/resolve-mapping.ts";
import { type ExperimentTables, namedTracesIn, projectCondition } from "../../plan/experiment-pages.ts";
import type { Page } from "../../plan/pages.ts";
import { ROOT_KEY } from "./items.ts";

/** The name of the column that has the key of a span's parent. */
export const PARENT_KEY = "__parent_key";

/** What follows FROM to select the rows of a table that belong to a page, newest versions only. */
export interface PageSource {
  readonly sql: string;
  readonly params: QueryParams;
}

/** The current items of a page's traces, the newest first: what names their root spans, and the experiment columns. */
export function itemsStatement(
  tables: ExperimentTables,
  columns: readonly SelectItem[],
  page: Page,
): Statement {
  const { sql, params } = itemsOf(tables, page);
  const selected = columns.map((column) => `, ${column.sql} AS ${identifier(column.name)}`).join("");
  return {
    kind: "traceRead",
    sql: `SELECT ${ROOT_KEY_SQL} AS ${ROOT_KEY}${selected} FROM ${sql}`,
    params,
  };
}

/** The key of the span that an item `i` names. */
export const ROOT_KEY_SQL = spanKeySql("i.project_id", "i.trace_id", ROOT_SPAN_SQL);

/** The current items of a page's traces, the newest first. */
export function itemsOf({ items }: ExperimentTables, { range }: Page): PageSource {
  const named = namedTracesIn(items, range);
  const project = projectCondition("i.project_id", range);
  return {
    sql: `${items} AS i FINAL WHERE ${project.sql} AND (i.project_id, i.trace_id) IN ${named.sql}
      ORDER BY i.event_ts DESC, i.created_at DESC, i.id DESC`,
    params: { ...named.params, ...project.params },
  };
}

/**
 * A page's observations. The condition on the trace must see the newest versions alone; that on the keys, all of whose versions it keeps
 * or drops together, spares reading the large columns of all others.
 */
export function observationsOf(tables: ExperimentTables, page: Page): PageSource {
  const { keys, newest } = observationConditions(tables, page);
  return {
    sql: `${tables.source} AS o FINAL PREWHERE ${keys.sql} WHERE ${newest.sql}`,
    params: { ...keys.params, ...newest.params },
  };
}

/** The conditions on a page's observations `o`: the one on their sorting keys, and the one that only newest versions may meet. */
export function observationConditions(
  { items, source }: ExperimentTables,
  { range, days }: Page,
): { keys: Condition; newest: Condition } {
  const named = namedTracesIn(items, range);
  const isNear = (alias: string): string =>
    `${projectCondition(`${alias}.project_id`, range).sql} AND ${daysCondition(`toDate(${alias}.start_time)`)}`;
  return {
    keys: {
      sql: `${isNear("o")} AND (o.project_id, o.type, toDate(o.start_time), o.id) IN (
        SELECT v.project_id, v.type, toDate(v.start_time), v.id FROM ${source} AS v
        WHERE ${isNear("v")} AND (v.project_id, v.trace_id) IN ${named.sql})`,
      params: { ...named.params, ...projectCondition("o.project_id", range).params, ...daysParams(days) },
    },
    newest: { sql: `(o.project_id, o.trace_id) IN ${named.sql}`, params: named.params },
  };
}

/** A page's traces. */
export function tracesOf(tables: ExperimentTables, page: Page): PageSource {
  const { sql, params } = traceCondition(tables, page);
  return { sql: `${tables.traces} AS t FINAL PREWHERE ${sql}`, params };
}

/** The condition on a page's traces `t`, by their sorting keys. */
export function traceCondition({ items }: ExperimentTables, { range, days }: Page): Condition {
  const named = namedTracesIn(items, range);
  const project = projectCondition("t.project_id", range);
  return {
    sql: `${project.sql} AND ${daysCondition("toDate(t.timestamp)")} AND (t.project_id, t.id) IN ${named.sql}`,
    params: { ...named.params, ...project.params, ...daysParams(days) },
  };
}

/**
 * The spans of a page's observations and their parents, the newest first. An observation without parent hangs below its trace's root
 * row.
 */
export function spansStatement(tables: ExperimentTables, page: Page, hasParents: boolean): Statement {
  const { sql, params } = observationsOf(tables, page);
  return {
    kind: "pageRead",
    sql: `SELECT ${SPAN_KEY.observation} AS ${HELPER.spanKey}, ${parentKeySql(hasParents)} AS ${PARENT_KEY}
      FROM ${sql} ORDER BY o.event_ts DESC`,
    params,
  };
}

/** The key of the span that an observation `o` hangs below. */
export function parentKeySql(hasParents: boolean): string {
  const parent = hasParents ? "ifNull(o.parent_observation_id, '')" : "''";
  const parentSpan = `if(${parent} = '' OR o.id = o.trace_id, concat('t-', o.trace_id), ${parent})`;
  return spanKeySql("o.project_id", "o.trace_id", parentSpan);
}

/** The root rows of a page's traces as spans, with what tells the newest versions. */
export function rootSpansStatement(tables: ExperimentTables, page: Page): Statement {
  const { sql, params } = tracesOf(tables, page);
  const items = [...ROOT_HELPERS, { name: HELPER.spanKey, sql: SPAN_KEY.root }];
  return {
    kind: "pageRead",
    sql: `SELECT ${items.map((item) => `${item.sql} AS ${item.name}`).join(", ")} FROM ${sql}`,
    params,
  };
}

function daysCondition(date: string): string {
  return `${date} >= {firstday:Date} AND ${date} <= {lastday:Date}`;
}

function daysParams(days: Page["days"]): QueryParams {
  if (days === undefined) throw new TypeError("A page of dataset runs without its days");
  return { firstday: days.first, lastday: days.last };
}
