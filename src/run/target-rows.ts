import { isAccessDenied, type RetryPolicy } from "../clickhouse/retry.ts";
import { parseCount, type Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { readEngines } from "./preflight/engines.ts";

/**
 * Counts the events of the month that `SELECT … FINAL` shows in the target, for a later run to compare. Returns null where there
 * is nothing to count, as in the engine Null, or where the user may not read the target. Reads the columns of the sorting key of one
 * month, once at the end of a run and once when a finished month is run again.
 * Rejects with an OperationError.
 */
export async function countTargetRows(
  server: Server,
  { connection: { database }, tables, partition }: BackfillOptions,
  retry: RetryPolicy,
): Promise<number | null> {
  const engines = await readEngines(server, database, [tables.target], retry);
  const facts = engines.get(tables.target);
  if (facts === undefined || facts.sortingKey === "") return null;
  const isByMonth = facts.partitionKey === "toYYYYMM(start_time)";
  const month = isByMonth ? "_partition_id = {month:String}" : "toYYYYMM(start_time) = {month:UInt32}";
  const sql = `SELECT count() FROM ${qualifiedTable(database, tables.target)} FINAL WHERE ${month}`;
  try {
    const statement = { kind: "count", sql, params: { month: partition } } as const;
    return await server.query(`Counting the rows of ${tables.target}`, statement, retry, parseCount);
  } catch (error) {
    if (isAccessDenied(error)) return null;
    throw error;
  }
}
