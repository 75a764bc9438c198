import { isAccessDenied, type RetryPolicy, refusalOfServer } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { identifier } from "../../clickhouse/sql.ts";
import { sqlTokens } from "../../clickhouse/sql-tokens.ts";
import { type TtlClause, ttlClauses } from "../../clickhouse/ttl-clauses.ts";
import type { ResolvedMapping } from "../../mapping/resolve-mapping.ts";

/** What a TTL does to rows of the month. */
export interface ExpiredTtl {
  readonly clause: TtlClause;
  /** Rows that it deletes, or whose column it empties; null: that cannot be known before they are there. */
  readonly rows: number | null;
}

/** The rows whose TTLs are checked. */
export interface TtlScope {
  readonly server: Server;
  /** The quoted table that holds the rows. */
  readonly table: string;
  readonly partition: string;
  readonly retry: RetryPolicy;
}

/**
 * Finds the TTLs of the target that have expired for rows of the month, or will within a day: the server would delete the rows, or
 * empty a column, soon after they were inserted. Reads the columns that the TTLs name, usually one time of 8 bytes a row.
 */
export async function expiredTargetTtls(
  scope: TtlScope,
  createQuery: string,
  mapping: ResolvedMapping,
  targetColumns: ReadonlySet<string>,
): Promise<ExpiredTtl[]> {
  const copied = new Map(mapping.copied.map(({ name, sql }) => [name, sql]));
  return await expired(scope, createQuery, 1, (columns) => {
    const named = columns.filter((column) => targetColumns.has(column));
    if (named.some((column) => !copied.has(column))) return null;
    return named.map((column) => `${copied.get(column)} AS ${identifier(column)}`);
  });
}

/** Finds the TTLs of a source that have expired for rows of the month: merges delete them, or empty a column, at any time. */
export async function expiredSourceTtls(scope: TtlScope, createQuery: string): Promise<ExpiredTtl[]> {
  return await expired(scope, createQuery, 0, () => ["*"]);
}

async function expired(
  { server, table, partition, retry }: TtlScope,
  createQuery: string,
  withinDays: number,
  itemsOf: (names: readonly string[]) => string[] | null,
): Promise<ExpiredTtl[]> {
  const found: ExpiredTtl[] = [];
  for (const clause of ttlClauses(createQuery)) {
    const condition = `(${clause.expression}) <= now() + INTERVAL {days:UInt8} DAY${
      clause.where === null ? "" : ` AND (${clause.where})`
    }`;
    const items = itemsOf(namesIn(condition));
    if (items === null) {
      found.push({ clause, rows: null });
      continue;
    }
    // The expression is the server's own text.
    const sql = `SELECT countIf(${condition}) FROM (SELECT ${items.join(", ") || "1"} FROM ${table} AS o
      WHERE o._partition_id = {partition:String})`;
    const params = { partition, days: withinDays };
    const operation = `Comparing a TTL with rows of ${table}`;
    const rows = await server
      .query(operation, { kind: "count", sql, params }, retry, ([row]) => Number(row?.[0] ?? 0))
      .catch((error: unknown) => {
        // An expression that the source's columns do not allow, such as one over a column of another type.
        if (refusalOfServer(error) !== null && !isAccessDenied(error)) return null;
        throw error;
      });
    if (rows !== 0) found.push({ clause, rows });
  }
  return found;
}

function namesIn(sql: string): string[] {
  return sqlTokens(sql).flatMap(({ kind, text }) => (kind === "word" || kind === "identifier" ? [text] : []));
}

/** What a TTL of the target would do, as a line of text. */
export function describeTargetTtl(table: string, { clause, rows }: ExpiredTtl): string {
  const { column, expression } = clause;
  const which = rows === null ? "rows of the month, as far as is known," : `${rows} rows of the month`;
  const what =
    column === null
      ? `its TTL ${expression} deletes ${which} now or within a day`
      : `the TTL ${expression} of column ${column} empties it in ${which} now or within a day`;
  return `${table}: ${what}, soon after they were inserted. Change the TTL (ALTER TABLE … MODIFY TTL …), or give --ignore-ttl`;
}

/** What a TTL of a source does, as a warning. */
export function describeSourceTtl(table: string, { clause, rows }: ExpiredTtl): string {
  const { column, expression } = clause;
  const which = rows === null ? "some rows" : `${rows} rows`;
  return column === null
    ? `${table}: the TTL ${expression} has expired for ${which} of the month; merges delete them at any time, and what is deleted is not copied`
    : `${table}: the TTL ${expression} of column ${column} has expired for ${which} of the month; merges empty it at any time`;
}
