import { type Condition, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import { type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import type { KeyRange } from "./key-range.ts";
import { canBoundSql, type DaySpan, type Page } from "./pages.ts";
import { rangeCondition, type SourceKey } from "./source-key.ts";

/**
 * The order in which the traces of dataset runs are copied: by project and by the day of the first item that names them, which is about
 * that of their observations, so that a page's rows lie close together in the source.
 */
export const EXPERIMENTS_KEY: SourceKey = {
  alias: "n",
  projectId: "n.project_id",
  type: null,
  date: "n.first_day",
  id: "n.trace_id",
};

/** The quoted tables of the experiments phase. */
export interface ExperimentTables {
  readonly items: string;
  readonly source: string;
  readonly traces: string;
}

/** What a plan of the experiments phase covers. */
export interface ExperimentScope {
  readonly server: Server;
  readonly tables: ExperimentTables;
  /** The approximate rows of a page. */
  readonly pageRows: number;
  readonly retry: RetryPolicy;
}

/** The traces of a page travel as a set from query to query. */
const MAX_PAGE_TRACES = 20_000;

/** The traces that current items name, with their place in the order. */
export function namedTracesSql(items: string): string {
  return `SELECT i.project_id AS project_id, i.trace_id AS trace_id, min(toDate(i.created_at)) AS first_day
    FROM ${items} AS i FINAL GROUP BY project_id, trace_id`;
}

/** The traces of a key range, as the set of an IN: a subquery of pairs of project and trace. */
export function namedTracesIn(items: string, range: KeyRange): Condition {
  const condition = rangeCondition(EXPERIMENTS_KEY, range);
  return {
    sql: `(SELECT n.project_id, n.trace_id FROM (${namedTracesSql(items)}) AS n WHERE ${condition.sql})`,
    params: condition.params,
  };
}

/** The condition on a project that every key of a range meets; by it the sources' primary keys are used. */
export function projectCondition(column: string, { after, upTo }: KeyRange): Condition {
  const project = { sql: column, type: "String" } as const;
  const until = keyRangeCondition([project], null, upTo === null ? null : [upTo.projectId]);
  if (after === null) return until;
  return {
    sql: `${column} >= {fromproject:String} AND ${until.sql}`,
    params: { ...until.params, fromproject: after.projectId },
  };
}

/**
 * Splits key ranges into pages of whole traces, in key order and without gaps, each with the days of its rows. A trace with more rows
 * than a page has one for itself. Reads thin columns of both sources once, all months. Throws an OperationError after the retries.
 */
export async function planExperimentPages(
  { server, tables, pageRows, retry }: ExperimentScope,
  ranges: readonly KeyRange[],
): Promise<Page[]> {
  const pages: Page[] = [];
  for (const range of ranges) {
    const planned = await withRetry(`Planning pages of ${tables.items}`, retry, async () => {
      const pager = new Pager(range, pageRows);
      for await (const row of server.rows(planStatement(tables, range), retry.signal))
        pager.add(traceOf(row));
      return pager.end();
    });
    pages.push(...planned);
  }
  return pages;
}

interface PlannedTrace {
  readonly projectId: string;
  readonly day: string;
  readonly traceId: string;
  readonly rows: number;
  readonly days: DaySpan;
  readonly canBound: boolean;
}

/** Joins neighbouring traces to pages. */
class Pager {
  readonly #pages: Page[] = [];
  readonly #range: KeyRange;
  readonly #pageRows: number;
  #after: KeyRange["after"];
  #rows = 0;
  #traces = 0;
  #days: DaySpan | null = null;
  #last: PlannedTrace | null = null;

  constructor(range: KeyRange, pageRows: number) {
    this.#range = range;
    this.#pageRows = pageRows;
    this.#after = range.after;
  }

  add(trace: PlannedTrace): void {
    const isFull = this.#rows + trace.rows > this.#pageRows || this.#traces >= MAX_PAGE_TRACES;
    if (isFull && this.#last?.canBound === true) {
      const { projectId, day, traceId } = this.#last;
      this.#push({ projectId, type: "", date: day, id: traceId });
    }
    this.#rows += trace.rows;
    this.#traces++;
    this.#days = this.#days === null ? trace.days : around(this.#days, trace.days);
    this.#last = trace;
  }

  /** The pages; the last one ends where the range ends. */
  end(): Page[] {
    this.#push(this.#range.upTo);
    return this.#pages;
  }

  #push(upTo: KeyRange["upTo"]): void {
    const days = this.#days ?? { first: FIRST_DATE, last: FIRST_DATE };
    this.#pages.push({ range: { after: this.#after, upTo }, plannedRows: this.#rows, days });
    this.#after = upTo;
    this.#rows = 0;
    this.#traces = 0;
    this.#days = null;
    this.#last = null;
  }
}

const FIRST_DATE = "1970-01-01";

/** The days from the first to the last of both; as text, days compare as they follow each other. */
function around(a: DaySpan, b: DaySpan): DaySpan {
  const [first = a.first] = [a.first, b.first].sort();
  const [last = a.last] = [a.last, b.last].sort().reverse();
  return { first, last };
}

/** Of each trace: its place in the order, the rows of both sources, old versions included, and their days. Without a join, which has limits of its own. */
function planStatement(
  { items, source, traces }: ExperimentTables,
  range: KeyRange,
): { sql: string; params: Condition["params"] } {
  const named = namedTracesIn(items, range);
  const condition = rangeCondition(EXPERIMENTS_KEY, range);
  const rowsOf = (table: string, alias: string, trace: string, date: string): string =>
    `SELECT ${alias}.project_id AS project_id, ${trace} AS trace_id, 0 AS is_item, count() AS row_count,
          min(${date}) AS first, max(${date}) AS last
        FROM ${table} AS ${alias} WHERE (${alias}.project_id, ${trace}) IN ${named.sql} GROUP BY project_id, trace_id`;
  return {
    sql: `SELECT n.project_id, n.first_day, n.trace_id, n.row_count, n.first_row_day, n.last_row_day,
        ${canBoundSql("n.project_id")} AND ${canBoundSql("n.trace_id")}
      FROM (
        SELECT project_id, trace_id, minIf(first, is_item = 1) AS first_day, sum(row_count) AS row_count,
          minIf(first, is_item = 0) AS first_row_day, maxIf(last, is_item = 0) AS last_row_day
        FROM (
          SELECT project_id, trace_id, 1 AS is_item, 0 AS row_count, first_day AS first, first_day AS last
          FROM (${namedTracesSql(items)})
          UNION ALL ${rowsOf(source, "o", "o.trace_id", "toDate(o.start_time)")}
          UNION ALL ${rowsOf(traces, "t", "t.id", "toDate(t.timestamp)")})
        GROUP BY project_id, trace_id
      ) AS n
      WHERE ${condition.sql}
      ORDER BY n.project_id, n.first_day, n.trace_id`,
    params: { ...named.params, ...condition.params },
  };
}

function traceOf([projectId, day, traceId, rows, first, last, canBound]: readonly unknown[]): PlannedTrace {
  const hasRows = Number(rows) > 0;
  return {
    projectId: String(projectId),
    day: String(day),
    traceId: String(traceId),
    rows: Number(rows ?? 0),
    days: hasRows ? { first: String(first), last: String(last) } : { first: String(day), last: String(day) },
    canBound: Number(canBound) === 1,
  };
}
