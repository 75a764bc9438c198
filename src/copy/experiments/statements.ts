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

/** The rows of one of the sources that belong to a page: `FROM … WHERE …`, newest versions only. */
interface PageSource {
  readonly sql: string;
  readonly params: QueryParams;
}

/** The current items of a page's traces, the newest first: what names their root spans, and the experiment columns. */
export function itemsStatement(
  { items }: ExperimentTables,
  columns: readonly SelectItem[],
  { range }: Page,
): Statement {
  const named = namedTracesIn(items, range);
  const project = projectCondition("i.project_id", range);
  const rootKey = spanKeySql("i.project_id", "i.trace_id", ROOT_SPAN_SQL);
  const selected = columns.map(({ name, sql }) => `, ${sql} AS ${identifier(name)}`).join("");
  return {
    kind: "traceRead",
    sql: `SELECT ${rootKey} AS ${ROOT_KEY}${selected}
      FROM ${items} AS i FINAL WHERE ${project.sql} AND (i.project_id, i.trace_id) IN ${named.sql}
      ORDER BY i.event_ts DESC, i.created_at DESC, i.id DESC`,
    params: { ...named.params, ...project.params },
  };
}

/**
 * A page's observations. The condition on the trace must see the newest versions alone; that on the keys, all of whose versions it keeps
 * or drops together, spares reading the large columns of all others.
 */
export function observationsOf({ items, source }: ExperimentTables, { range, days }: Page): PageSource {
  const named = namedTracesIn(items, range);
  const isNear = (alias: string): string =>
    `${projectCondition(`${alias}.project_id`, range).sql} AND ${daysCondition(`toDate(${alias}.start_time)`)}`;
  return {
    sql: `${source} AS o FINAL
      PREWHERE ${isNear("o")} AND (o.project_id, o.type, toDate(o.start_time), o.id) IN (
        SELECT v.project_id, v.type, toDate(v.start_time), v.id FROM ${source} AS v
        WHERE ${isNear("v")} AND (v.project_id, v.trace_id) IN ${named.sql})
      WHERE (o.project_id, o.trace_id) IN ${named.sql}`,
    params: { ...named.params, ...projectCondition("o.project_id", range).params, ...daysParams(days) },
  };
}

/** A page's traces. */
export function tracesOf({ items, traces }: ExperimentTables, { range, days }: Page): PageSource {
  const named = namedTracesIn(items, range);
  const project = projectCondition("t.project_id", range);
  return {
    sql: `${traces} AS t FINAL
      PREWHERE ${project.sql} AND ${daysCondition("toDate(t.timestamp)")} AND (t.project_id, t.id) IN ${named.sql}`,
    params: { ...named.params, ...project.params, ...daysParams(days) },
  };
}

/**
 * The spans of a page's observations and their parents, the newest first. An observation without parent hangs below its trace's root
 * row.
 */
export function spansStatement(tables: ExperimentTables, page: Page, hasParents: boolean): Statement {
  const { sql, params } = observationsOf(tables, page);
  const parent = hasParents ? "ifNull(o.parent_observation_id, '')" : "''";
  const parentSpan = `if(${parent} = '' OR o.id = o.trace_id, concat('t-', o.trace_id), ${parent})`;
  return {
    kind: "pageRead",
    sql: `SELECT ${SPAN_KEY.observation} AS ${HELPER.spanKey},
        ${spanKeySql("o.project_id", "o.trace_id", parentSpan)} AS ${PARENT_KEY}
      FROM ${sql} ORDER BY o.event_ts DESC`,
    params,
  };
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
