import { isAccessDenied, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { qualifiedTable } from "../../clickhouse/sql.ts";

/**
 * A warning where the target already has backfilled rows of the month that no earlier run of this program wrote: Langfuse's own migration
 * writes such rows. Returns null where there are none, or where the user may not read the target. Rejects with an OperationError.
 */
export async function foreignBackfillWarning(
  server: Server,
  database: string,
  target: string,
  partition: string,
  retry: RetryPolicy,
): Promise<string | null> {
  const sql = `SELECT 1 FROM ${qualifiedTable(database, target)}
    WHERE toYYYYMM(start_time) = {month:UInt32} AND endsWith(source, '-backfill') LIMIT 1`;
  const statement = { sql, params: { month: partition } };
  const rows = await server
    .query(`Looking for backfilled rows in ${target}`, statement, retry)
    .catch((error: unknown) => {
      if (isAccessDenied(error)) return [];
      throw error;
    });
  return rows.length === 0
    ? null
    : `${target} already has backfilled rows of ${partition}, and no checkpoint here says that this program wrote them: Langfuse's own migration may be at work as well. Set LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL=false while this program copies`;
}
