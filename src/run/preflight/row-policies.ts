import { OperationError, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { ERROR_CODE, ServerError } from "../../clickhouse/server-errors.ts";
import { literal } from "../../clickhouse/sql.ts";

/** A row policy that applies to this user. */
export interface RowPolicy {
  readonly name: string;
  readonly table: string;
  /** Rows for which it is false are hidden. */
  readonly filter: string;
}

/** Codes with which a server refuses to show its policies, or says that it has none. */
const NOT_SHOWN: ReadonlySet<number> = new Set([
  ERROR_CODE.accessDenied,
  ERROR_CODE.unknownTable,
  ERROR_CODE.unknownIdentifier,
]);

/**
 * The row policies on tables that apply to this user, by name or by an enabled role; none where the user may not see them.
 * Rejects with an OperationError.
 */
export async function rowPolicies(
  server: Server,
  database: string,
  tables: readonly string[],
  retry: RetryPolicy,
): Promise<RowPolicy[]> {
  const sql = `WITH arrayConcat([currentUser()], (SELECT groupArray(role_name) FROM system.enabled_roles)) AS me
    SELECT short_name, table, ifNull(select_filter, '') FROM system.row_policies
    WHERE database = {database:String} AND table IN ('', ${tables.map(literal).join(", ")})
      AND (hasAny(apply_to_list, me) OR apply_to_all AND NOT hasAny(apply_to_except, me)) ORDER BY short_name`;
  try {
    const rows = await server.query("Reading row policies", { sql, params: { database } }, retry);
    return rows.map(([name, table, filter]) => ({
      name: String(name),
      table: String(table),
      filter: String(filter),
    }));
  } catch (error) {
    const cause = error instanceof OperationError ? error.cause : error;
    if (cause instanceof ServerError && NOT_SHOWN.has(cause.code)) return [];
    throw error;
  }
}

/** A policy as a warning. */
export function describeRowPolicy({ name, table, filter }: RowPolicy): string {
  const where = table === "" ? "all tables of the database" : table;
  return `The row policy ${name} on ${where} hides rows from this user: only rows with ${filter} are copied`;
}
