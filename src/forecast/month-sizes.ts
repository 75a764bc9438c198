import { isAccessDenied, type RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import { monthsOf } from "../run/preflight/months.ts";

/** A month of one table. */
export interface PartitionSize {
  /** Old versions included. */
  readonly rows: number;
  /** Uncompressed; null where the user may not see it. */
  readonly bytes: number | null;
  readonly diskBytes: number | null;
  readonly activeParts: number | null;
}

const EMPTY: PartitionSize = { rows: 0, bytes: 0, diskBytes: 0, activeParts: 0 };

/** A month of the three tables. */
export interface MonthSize {
  readonly partition: string;
  readonly observations: PartitionSize;
  readonly traces: PartitionSize;
  readonly target: PartitionSize;
}

/** The sizes of all months that the sources have, the newest first. Rejects with an OperationError. */
export async function monthSizes(
  server: Server,
  { connection: { database }, tables }: Pick<BackfillOptions, "connection" | "tables">,
  retry: RetryPolicy,
): Promise<MonthSize[]> {
  const [observations, traces, target] = await Promise.all(
    [tables.source, tables.traces, tables.target].map((table) => sizesOf(server, database, table, retry)),
  );
  const months = new Set([...(observations?.keys() ?? []), ...(traces?.keys() ?? [])]);
  return [...months]
    .filter((month) => /^\d{6}$/.test(month))
    .sort()
    .reverse()
    .map((partition) => ({
      partition,
      observations: observations?.get(partition) ?? EMPTY,
      traces: traces?.get(partition) ?? EMPTY,
      target: target?.get(partition) ?? EMPTY,
    }));
}

async function sizesOf(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<Map<string, PartitionSize>> {
  const sql = `SELECT partition_id, sum(rows), sum(data_uncompressed_bytes), sum(bytes_on_disk), count()
    FROM system.parts WHERE active AND database = {database:String} AND table = {table:String} GROUP BY partition_id`;
  try {
    const statement = { sql, params: { database, table } };
    const rows = await server.query(`Reading the sizes of ${table}`, statement, retry);
    return new Map(
      rows.map(([month, ...numbers]) => {
        const [count = 0, bytes = 0, diskBytes = 0, activeParts = 0] = numbers.map(Number);
        return [String(month), { rows: count, bytes, diskBytes, activeParts }];
      }),
    );
  } catch (error) {
    if (!isAccessDenied(error)) throw error;
    const months = await monthsOf(server, database, table, retry);
    return new Map(
      months.map(({ partition, rows }) => [
        partition,
        { rows, bytes: null, diskBytes: null, activeParts: null },
      ]),
    );
  }
}
