import { identifier } from "../../src/clickhouse/sql.ts";
import { type Difference, explain } from "./compare-explain.ts";
import type { TestServer } from "./server.ts";

/**
 * How rows are held against each other: `multiset` counts every row that is stored, `set` ignores how often a row is there
 * (after an interrupted run), `final` sees what SELECT … FINAL shows.
 */
export type CompareMode = "multiset" | "set" | "final";

/** Two tables of the same columns in one database. */
export interface TablePair {
  readonly database: string;
  readonly actual: string;
  readonly expected: string;
}

export interface Comparison {
  readonly actualRows: number;
  readonly expectedRows: number;
  /** Rows, distinguished by all their columns, that are not on both sides as they should be. */
  readonly differingRows: number;
  /** Explains a few of them. */
  readonly differences: readonly Difference[];
}

/** A column that can be inserted, and so is compared. */
export interface ComparedColumn {
  readonly name: string;
  readonly type: string;
}

/** Differences explained at most. */
const MAX_EXPLAINED = 10;

/** Throws an error that lists the differences unless the tables hold the same rows. */
export async function expectSameRows(server: TestServer, pair: TablePair, mode: CompareMode): Promise<void> {
  const comparison = await compareTables(server, pair, mode);
  if (comparison.differingRows > 0) throw new Error(describeComparison(pair, comparison));
}

/** Holds two tables against each other, row by row and by every column that can be inserted, in both directions. */
export async function compareTables(
  server: TestServer,
  pair: TablePair,
  mode: CompareMode,
): Promise<Comparison> {
  const { database } = pair;
  const columns = await comparedColumns(server, database, pair.expected);
  const hash = rowHash(columns);
  const side = (table: string, isActual: 0 | 1): string =>
    `SELECT ${hash} AS hash, ${isActual} AS is_actual FROM ${rowsOf(table, mode)}`;
  const wrong = mode === "set" ? "(actual > 0) != (expected > 0)" : "actual != expected";
  const sql = `WITH counts AS (
    SELECT hash, countIf(is_actual = 1) AS actual, countIf(is_actual = 0) AS expected
    FROM (${side(pair.actual, 1)} UNION ALL ${side(pair.expected, 0)}) GROUP BY hash
  ) SELECT sum(actual) AS actualRows, sum(expected) AS expectedRows, countIf(${wrong}) AS differingRows,
    groupArrayIf(${MAX_EXPLAINED * 2})(hash, ${wrong} AND actual > expected) AS moreActual,
    groupArrayIf(${MAX_EXPLAINED * 2})(hash, ${wrong} AND actual < expected) AS moreExpected
  FROM counts`;
  const [row] = await server.queryJson<{
    actualRows: number;
    expectedRows: number;
    differingRows: number;
    moreActual: string[];
    moreExpected: string[];
  }>(sql, { database });
  if (row === undefined) throw new Error("The comparison yielded no row");
  const { actualRows, expectedRows, differingRows } = row;
  const differences =
    differingRows === 0
      ? []
      : await explain(server, database, {
          columns,
          hash,
          actual: { from: rowsOf(pair.actual, mode), hashes: row.moreActual },
          expected: { from: rowsOf(pair.expected, mode), hashes: row.moreExpected },
          limit: MAX_EXPLAINED,
        });
  return { actualRows, expectedRows, differingRows, differences };
}

/** The comparison as a text of several lines. */
export function describeComparison(pair: TablePair, comparison: Comparison): string {
  const { actualRows, expectedRows, differingRows, differences } = comparison;
  const head = `${pair.actual} has ${actualRows} rows, ${pair.expected} ${expectedRows}; ${differingRows} differ.`;
  const parts = differences.map(({ kind, key, copies, columns }) => {
    const title = `${kind}: ${key}${copies === undefined ? "" : ` (${copies.actual} times, not ${copies.expected})`}`;
    const lines = columns.map(
      ({ name, actual, expected }) => `    ${name}\n      is     ${actual}\n      not    ${expected}`,
    );
    return [`  ${title}`, ...lines].join("\n");
  });
  return [head, ...parts].join("\n");
}

function rowsOf(table: string, mode: CompareMode): string {
  return mode === "final" ? `${identifier(table)} FINAL` : identifier(table);
}

/**
 * A hash of all columns, as hex text. Text columns go in as they are, others by their text, in which NULL differs from all
 * values; a JSON column's is its document.
 */
function rowHash(columns: readonly ComparedColumn[]): string {
  const values = columns.map(({ name, type }) =>
    type === "String" || type === "Array(String)" ? identifier(name) : columnText(name),
  );
  return `hex(sipHash128(${values.join(", ")}))`;
}

/** The SQL of a hash of all columns of a table's rows that can be inserted, as {@link compareTables} takes it. */
export async function rowHashOf(server: TestServer, database: string, table: string): Promise<string> {
  return rowHash(await comparedColumns(server, database, table));
}

/** A column's value as text, of any type. */
export function columnText(name: string): string {
  return `toString(tuple(${identifier(name)}))`;
}

async function comparedColumns(
  server: TestServer,
  database: string,
  table: string,
): Promise<ComparedColumn[]> {
  const columns = await server.queryJson<ComparedColumn>(
    `SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}
     AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') ORDER BY position`,
    { params: { database, table } },
  );
  if (columns.length === 0) throw new Error(`There is no table ${database}.${table}`);
  return columns;
}
