import { isAccessDenied, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { qualifiedTable } from "../../clickhouse/sql.ts";

/** A partition of a table, and the rows that it holds, old versions included. */
export interface Month {
  readonly partition: string;
  readonly rows: number;
}

/** The partitions that a table has, the newest first. Rejects with an OperationError. */
export async function monthsOf(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<Month[]> {
  const operation = `Listing the months of ${table}`;
  const read = async (sql: string): Promise<Month[]> => {
    const rows = await server.query(operation, { sql, params: { database, table } }, retry);
    return rows.map(([partition, count]) => ({ partition: String(partition), rows: Number(count) }));
  };
  try {
    return await read(`SELECT partition_id AS month, sum(rows) FROM system.parts
      WHERE active AND database = {database:String} AND table = {table:String} GROUP BY month ORDER BY month DESC`);
  } catch (error) {
    if (!isAccessDenied(error)) throw error;
    return await read(
      `SELECT _partition_id AS month, count() FROM ${qualifiedTable(database, table)} GROUP BY month ORDER BY month DESC`,
    );
  }
}
