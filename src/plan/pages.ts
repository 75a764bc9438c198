import type { Server } from "../clickhouse/server.ts";
import { type KeyRange, type SortingKey, WHOLE_KEY_SPACE } from "./key-range.ts";
import { END_OF_GROUP_ID, endOfGroup, rangeCondition } from "./source-key.ts";

/** A key range that is copied as one piece: done or not done. */
export interface Page {
  readonly range: KeyRange;
  /** Rows that the source had there when the page was planned, old versions included. */
  readonly plannedRows: number;
}

/** What a plan is made for. */
export interface PlanScope {
  readonly server: Server;
  /** The quoted source table. */
  readonly table: string;
  readonly partition: string;
  /** Rows that a page should have, about. */
  readonly pageRows: number;
  readonly signal: AbortSignal;
}

/**
 * More pages would make a group's cost grow with their number: the id is not in the primary key, so each page of a group
 * reads the ids of all of it.
 */
const MAX_PAGES_PER_GROUP = 32;
/** A group of fewer rows than this multiple of a page is not split. */
const SPLIT_FROM_PAGES = 1.5;
/** Ids looked at for each page that a group is split into, so that the pages are about equal. */
const SAMPLES_PER_PAGE = 64;
const MAX_SAMPLE_STEP = 8192;
/** Keys travel in URLs and in the checkpoint; a bound may be put elsewhere when a key is longer, or no UTF-8. */
const MAX_BOUND_BYTES = 1024;

interface Group {
  readonly projectId: string;
  readonly type: string;
  readonly date: string;
  readonly rows: number;
  /** Whether its key may serve as a bound. */
  readonly canBound: boolean;
}

/**
 * Splits key ranges into pages, in key order and without gaps: each page begins where the one before ends, the first where
 * its range begins and the last where its range ends, so that rows that arrive later belong to some page.
 * Neighbouring (project, type, day) groups are joined to about `pageRows` rows, larger ones are split by id.
 */
export async function* planPages(
  scope: PlanScope,
  ranges: readonly KeyRange[],
): AsyncGenerator<Page, void, void> {
  for (const range of ranges) yield* planRange(scope, range);
}

async function* planRange(scope: PlanScope, range: KeyRange): AsyncGenerator<Page, void, void> {
  let after = range.after;
  let rows = 0;
  let previous: Group | null = null;
  const upTo = function* (bound: SortingKey, plannedRows: number): Generator<Page, void, void> {
    yield { range: { after, upTo: bound }, plannedRows };
    after = bound;
    rows = 0;
  };
  for await (const group of groupsOf(scope, range)) {
    const isHuge = group.rows >= scope.pageRows * SPLIT_FROM_PAGES && group.canBound;
    if (rows > 0 && previous?.canBound && (isHuge || rows + group.rows > scope.pageRows)) {
      yield* upTo(endOfGroup(previous.projectId, previous.type, previous.date), rows);
    }
    rows += group.rows;
    previous = group;
    if (!isHuge) continue;
    const bounds = await splitPoints(scope, range, group);
    const share = Math.ceil(rows / (bounds.length + 1));
    for (const bound of bounds) yield* upTo(bound, share);
    rows = share;
  }
  yield { range: { after, upTo: range.upTo }, plannedRows: rows };
}

/** The groups of a range in key order, by the cheap columns of the sorting key. */
async function* groupsOf(scope: PlanScope, range: KeyRange): AsyncGenerator<Group, void, void> {
  const condition = rangeCondition(range);
  const sql = `SELECT o.project_id AS p, toString(o.type) AS t, toDate(o.start_time) AS d, count(), ${canBoundSql("p")} AND ${canBoundSql("t")}
    FROM ${scope.table} AS o WHERE o._partition_id = {partition:String} AND ${condition.sql}
    GROUP BY p, t, d ORDER BY p, t, d`;
  const params = { ...condition.params, partition: scope.partition };
  for await (const row of scope.server.rows({ sql, params }, scope.signal)) {
    const [projectId, type, date, rows, canBound] = row;
    yield {
      projectId: String(projectId),
      type: String(type),
      date: String(date),
      rows: Number(rows),
      canBound: Number(canBound) === 1,
    };
  }
}

/** The ids that cut a group into about equal pages, from a sample of its ids. */
async function splitPoints(scope: PlanScope, range: KeyRange, group: Group): Promise<SortingKey[]> {
  const pages = Math.min(MAX_PAGES_PER_GROUP, Math.round(group.rows / scope.pageRows));
  const step = Math.floor(group.rows / (pages * SAMPLES_PER_PAGE));
  const condition = rangeCondition(range);
  const sql = `SELECT DISTINCT o.id AS id FROM ${scope.table} AS o
    WHERE o._partition_id = {partition:String} AND o.project_id = {project:String} AND o.type = {type:String}
      AND toDate(o.start_time) = {date:Date} AND ${condition.sql}
      AND o._part_offset % {step:UInt64} = 0 AND ${canBoundSql("o.id")} AND o.id != {end:String}
    ORDER BY id`;
  const params = {
    ...condition.params,
    partition: scope.partition,
    project: group.projectId,
    type: group.type,
    date: group.date,
    step: Math.min(Math.max(step, 1), MAX_SAMPLE_STEP),
    end: END_OF_GROUP_ID,
  };
  const ids = (await scope.server.allRows({ sql, params }, scope.signal)).map(([id]) => String(id));
  const bounds: SortingKey[] = [];
  let last = -1;
  for (let page = 1; page < pages; page++) {
    const at = Math.floor((page * ids.length) / pages);
    const id = ids[at];
    if (id === undefined || at === last) continue;
    last = at;
    bounds.push({ projectId: group.projectId, type: group.type, date: group.date, id });
  }
  return bounds;
}

function canBoundSql(column: string): string {
  return `isValidUTF8(${column}) AND length(${column}) <= ${MAX_BOUND_BYTES}`;
}

/** The number of rows of a range in the source, old versions included. */
export async function countRows(scope: PlanScope, range: KeyRange = WHOLE_KEY_SPACE): Promise<number> {
  const condition = rangeCondition(range);
  const sql = `SELECT count() FROM ${scope.table} AS o WHERE o._partition_id = {partition:String} AND ${condition.sql}`;
  const params = { ...condition.params, partition: scope.partition };
  const [row] = await scope.server.allRows({ sql, params }, scope.signal);
  return Number(row?.[0]);
}
