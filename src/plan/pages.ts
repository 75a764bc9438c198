import { isAccessDenied, type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import { parseCount, type Server } from "../clickhouse/server.ts";
import { compareKeys, describeRange, END_OF_GROUP_ID, type KeyRange, type SortingKey } from "./key-range.ts";
import { endOfGroup, rangeCondition, type SourceKey } from "./source-key.ts";

/** A key range that is copied as one piece: done or not done. */
export interface Page {
  readonly range: KeyRange;
  /** Rows that the source had there when the page was planned, old versions included. */
  readonly plannedRows: number;
  /** Where the rows lie, of a page of traces that dataset runs name. */
  readonly days?: DaySpan;
}

/** The days on which a page's rows lie, as YYYY-MM-DD, when it was planned. */
export interface DaySpan {
  readonly first: string;
  readonly last: string;
}

/** What a plan covers. */
export interface PlanScope {
  readonly server: Server;
  /** The quoted table that is copied, and its sorting key. */
  readonly table: string;
  readonly key: SourceKey;
  readonly partition: string;
  /** The approximate rows of a page. */
  readonly pageRows: number;
  readonly retry: RetryPolicy;
}

/**
 * More pages would make a group's cost grow with their number: the id is not in the primary key, so each page of a group
 * reads the ids of all of it.
 */
const MAX_PAGES_PER_GROUP = 32;
/** A group of fewer rows than this multiple of a page is not split. */
const SPLIT_FROM_PAGES = 1.5;
/** Sampled ids for each page of a split group, so that the pages are about equal. */
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

/** Groups that are copied together: what lies between the end of the span before and `upTo`. */
interface PageGroup {
  readonly upTo: SortingKey | null;
  readonly rows: number;
  /** The group that ends it and is larger than a page; it is to be cut by id. */
  readonly huge: Group | null;
}

/**
 * Splits key ranges into pages, in key order and without gaps: each page begins where the one before ends, the first where
 * its range begins and the last where its range ends, so that rows that arrive later belong to some page.
 * Neighbouring (project, type, day) groups are joined to about `pageRows` rows, larger ones are cut by id when their turn
 * comes. Throws a ServerError or a TransportError after the retries.
 */
export async function* planPages(
  scope: PlanScope,
  ranges: readonly KeyRange[],
): AsyncGenerator<Page, void, void> {
  for (const range of ranges) {
    // The whole response is read before the first page is copied: a server gives up on one that is read for hours.
    const pageGroups = await withRetry(`Planning pages of ${scope.table}`, scope.retry, () =>
      pageGroupsOf(scope, range),
    );
    let after = range.after;
    for (const { upTo, rows, huge } of pageGroups) {
      const bounds = huge === null ? [] : await splitPoints(scope, { after, upTo }, huge);
      const plannedRows = Math.ceil(rows / (bounds.length + 1));
      for (const bound of [...bounds, upTo]) {
        yield { range: { after, upTo: bound }, plannedRows };
        after = bound;
      }
    }
  }
}

async function pageGroupsOf(scope: PlanScope, range: KeyRange): Promise<PageGroup[]> {
  const pageGroups: PageGroup[] = [];
  let rows = 0;
  let previous: Group | null = null;
  const end = (upTo: SortingKey, huge: Group | null): void => {
    pageGroups.push({ upTo, rows, huge });
    rows = 0;
  };
  for await (const group of groupsOf(scope, range)) {
    const isHuge = group.rows >= scope.pageRows * SPLIT_FROM_PAGES && group.canBound;
    if (rows > 0 && previous?.canBound && (isHuge || rows + group.rows > scope.pageRows)) {
      end(endOfGroup(previous.projectId, previous.type, previous.date), null);
    }
    rows += group.rows;
    previous = group;
    if (isHuge) end(endOfGroup(group.projectId, group.type, group.date), group);
  }
  // The last group of pages ends where the range ends, not where the rows of today end.
  const last = rows > 0 ? { rows, huge: null } : (pageGroups.pop() ?? { rows, huge: null });
  pageGroups.push({ ...last, upTo: range.upTo });
  return pageGroups;
}

/** The groups of a range in key order, by the cheap columns of the sorting key. */
async function* groupsOf(scope: PlanScope, range: KeyRange): AsyncGenerator<Group, void, void> {
  const { key } = scope;
  const condition = rangeCondition(key, range);
  const sql = `SELECT ${key.projectId} AS key_project, ${typeSql(key)} AS key_type, ${key.date} AS key_day, count(),
      ${canBoundSql("key_project")} AND ${canBoundSql("key_type")}
    FROM ${partitionOf(scope)} AND ${condition.sql}
    GROUP BY key_project, key_type, key_day ORDER BY key_project, key_type, key_day`;
  const params = { ...condition.params, partition: scope.partition };
  for await (const row of scope.server.rows({ sql, params }, scope.retry.signal)) {
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

/**
 * The ids that cut a group into about equal pages, from a sample of its ids; none that would come after the bound at the
 * group's end.
 */
async function splitPoints(scope: PlanScope, range: KeyRange, group: Group): Promise<SortingKey[]> {
  const pages = Math.min(MAX_PAGES_PER_GROUP, Math.round(group.rows / scope.pageRows));
  const step = Math.floor(group.rows / (pages * SAMPLES_PER_PAGE));
  const { key } = scope;
  const condition = rangeCondition(key, range);
  const isOfType = key.type === null ? "1" : `${key.type} = {type:String}`;
  const sql = `SELECT DISTINCT ${key.id} AS id FROM ${partitionOf(scope)}
      AND ${key.projectId} = {project:String} AND ${isOfType} AND ${key.date} = {date:Date} AND ${condition.sql}
      AND ${key.alias}._part_offset % {step:UInt64} = 0 AND ${canBoundSql(key.id)} AND ${key.id} < {end:String}
    ORDER BY id`;
  const params = {
    ...condition.params,
    partition: scope.partition,
    project: group.projectId,
    ...(key.type === null ? {} : { type: group.type }),
    date: group.date,
    step: Math.min(Math.max(step, 1), MAX_SAMPLE_STEP),
    end: END_OF_GROUP_ID,
  };
  const rows = await scope.server.query(`Planning pages of ${scope.table}`, { sql, params }, scope.retry);
  const ids = rows.map(([id]) => String(id));
  const bounds: SortingKey[] = [];
  let last = -1;
  for (let page = 1; page < pages; page++) {
    const at = Math.floor((page * ids.length) / pages);
    const id = ids[at];
    if (id === undefined || at === last) continue;
    last = at;
    const bound = { projectId: group.projectId, type: group.type, date: group.date, id };
    // The greatest id may be where the range ends; a page after it would hold no keys.
    if (range.upTo === null || compareKeys(bound, range.upTo) < 0) bounds.push(bound);
  }
  return bounds;
}

/** The rows of the partition. */
function partitionOf({ table, key: { alias } }: PlanScope): string {
  return `${table} AS ${alias} WHERE ${alias}._partition_id = {partition:String}`;
}

function typeSql({ type }: SourceKey): string {
  return type === null ? "''" : `toString(${type})`;
}

/** Whether a column's value may serve as a bound. */
export function canBoundSql(column: string): string {
  return `isValidUTF8(${column}) AND length(${column}) <= ${MAX_BOUND_BYTES}`;
}

/** The number of rows of a range in the source, old versions included. */
export async function countRows(scope: PlanScope, range: KeyRange): Promise<number> {
  const condition = rangeCondition(scope.key, range);
  const sql = `SELECT count() FROM ${partitionOf(scope)} AND ${condition.sql}`;
  const params = { ...condition.params, partition: scope.partition };
  const operation = `Counting the rows of ${scope.table}, ${describeRange(range)}`;
  return await scope.server.query(operation, { kind: "count", sql, params }, scope.retry, parseCount);
}

/**
 * The average size of the partition's rows, uncompressed, as the server's own figures have it; null where it shows none.
 * FINAL bounds its blocks by rows alone, so their size must be requested in rows.
 */
export async function averageRowBytes(
  scope: PlanScope,
  database: string,
  table: string,
): Promise<number | null> {
  const sql = `SELECT sum(data_uncompressed_bytes) / sum(rows) FROM system.parts
    WHERE active AND database = {database:String} AND table = {table:String} AND partition_id = {partition:String}`;
  const params = { database, table, partition: scope.partition };
  const operation = `Reading the size of the rows of ${scope.table}`;
  const [row] = await scope.server.query(operation, { sql, params }, scope.retry).catch((error: unknown) => {
    // The figure helps, but is not required.
    if (isAccessDenied(error)) return [];
    throw error;
  });
  const bytes = Number(row?.[0] ?? Number.NaN);
  return Number.isFinite(bytes) && bytes > 0 ? bytes : null;
}

/** The greatest key of the partition; null when there is none, or when it is no UTF-8. */
export async function greatestKey(scope: PlanScope): Promise<SortingKey | null> {
  const { key } = scope;
  const columns = [key.projectId, ...(key.type === null ? [] : [key.type]), key.date, key.id];
  const sql = `SELECT ${key.projectId} AS key_project, ${typeSql(key)} AS key_type, ${key.date}, ${key.id} AS key_id,
      isValidUTF8(key_project) AND isValidUTF8(key_type) AND isValidUTF8(key_id)
    FROM ${partitionOf(scope)}
    ORDER BY ${columns.map((column) => `${column} DESC`).join(", ")} LIMIT 1`;
  const params = { partition: scope.partition };
  const operation = `Looking up the last key of ${scope.table}`;
  const [row] = await scope.server.query(operation, { sql, params }, scope.retry);
  if (row === undefined || Number(row[4]) !== 1) return null;
  return { projectId: String(row[0]), type: String(row[1]), date: String(row[2]), id: String(row[3]) };
}
