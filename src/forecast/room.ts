import { isAccessDenied, isUnknownTable, type RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";

/** What the server has room for, as far as the user may see it. */
export interface ServerRoom {
  /** Of all disks; null: not known. */
  readonly freeBytes: number | null;
  /** From so many active parts in a month on, inserts are rejected; null: not known. */
  readonly maxParts: number | null;
  /** Processors of the server; null: not known. */
  readonly cores: number | null;
  readonly hasTextIndexes: boolean;
}

/** Reads what the server has room for. What the user may not see is null. Rejects with an OperationError. */
export async function serverRoom(
  server: Server,
  { connection: { database }, tables: { target } }: Pick<BackfillOptions, "connection" | "tables">,
  retry: RetryPolicy,
): Promise<ServerRoom> {
  const number = async (what: string, sql: string): Promise<number | null> => {
    const params = { database, table: target };
    const rows = await server.query(`Reading ${what}`, { sql, params }, retry).catch((error: unknown) => {
      if (isAccessDenied(error) || isUnknownTable(error)) return [];
      throw error;
    });
    const value = Number(rows[0]?.[0] ?? Number.NaN);
    return Number.isFinite(value) ? value : null;
  };
  const [freeBytes, maxParts, cores, textIndexes] = await Promise.all([
    number("the free space of the disks", "SELECT sum(free_space) FROM system.disks HAVING count() > 0"),
    number(
      "the limit on parts",
      "SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'parts_to_throw_insert'",
    ),
    number(
      "the processors of the server",
      "SELECT max(value) FROM system.asynchronous_metrics WHERE metric IN ('NumberOfCPUs', 'CGroupMaxCPU', 'NumberOfPhysicalCores') HAVING count() > 0",
    ),
    number(
      `the indexes of ${qualifiedTable(database, target)}`,
      `SELECT count() FROM system.data_skipping_indices WHERE database = {database:String} AND table = {table:String}
        AND (type LIKE '%text%' OR type LIKE '%inverted%' OR type LIKE '%tokenbf%' OR type LIKE '%ngrambf%')`,
    ),
  ]);
  return { freeBytes, maxParts, cores, hasTextIndexes: (textIndexes ?? 0) > 0 };
}
