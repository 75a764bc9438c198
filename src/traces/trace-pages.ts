import type { Server } from "../clickhouse/server.ts";
import { type TraceBound, type TraceRange, type TraceScope, traceGroupsStatement } from "./queries.ts";

/** Traces that are loaded by one query. */
export interface TracePage {
  readonly range: TraceRange;
  /** Rows that the table had there, old versions included. */
  readonly plannedRows: number;
}

/** Large enough that a page's fixed cost vanishes, small enough to keep several loaders busy. */
const PAGE_ROWS = 200_000;

/** Splits the window's traces into gapless ranges of about 200,000 rows. */
export async function planTracePages(
  server: Server,
  scope: TraceScope,
  signal: AbortSignal,
): Promise<TracePage[]> {
  const pages: TracePage[] = [];
  let after: TraceBound | null = null;
  let rows = 0;
  for await (const [project, date, count, canBound] of server.rows(traceGroupsStatement(scope), signal)) {
    rows += Number(count);
    if (rows < PAGE_ROWS || Number(canBound) !== 1) continue;
    const upTo: TraceBound = [String(project), String(date)];
    pages.push({ range: { after, upTo }, plannedRows: rows });
    after = upTo;
    rows = 0;
  }
  pages.push({ range: { after, upTo: null }, plannedRows: rows });
  return pages;
}
