import type { RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import type { ResolvedMapping } from "../../mapping/resolve-mapping.ts";

/** Without these in the key of the target, events of different observations collapse to one. */
const IDENTIFYING = ["project_id", "span_id"];

/** The columns that the sorting key of a table uses, also within expressions. */
export async function sortingKeyColumns(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<string[]> {
  const statement = {
    sql: `SELECT name FROM system.columns
      WHERE database = {database:String} AND table = {table:String} AND is_in_sorting_key ORDER BY position`,
    params: { database, table },
  };
  const rows = await server.query(`Reading the sorting key of ${table}`, statement, retry);
  return rows.map(([name]) => String(name));
}

/** What about the sorting key of the target would make different events one. */
export function sortingKeyProblems(
  table: string,
  sortingKey: string,
  columns: readonly string[],
  mapping: ResolvedMapping,
): string[] {
  const filled = new Set([
    ...mapping.copied.map(({ name }) => name),
    ...mapping.derived.map(({ column }) => column.name),
  ]);
  const missing = IDENTIFYING.filter((name) => !columns.includes(name));
  const unfilled = columns.filter((name) => !filled.has(name));
  return [
    ...(missing.length > 0
      ? [
          `${table}: sorting key (${sortingKey}) lacks ${missing.join(" and ")}: different events would collapse to one`,
        ]
      : []),
    ...unfilled.map(
      (name) =>
        `${table}: sorting key (${sortingKey}) uses ${name}, which a run leaves to its default: different events would collapse to one`,
    ),
  ];
}
