import { dataStatements } from "../demo/data.ts";
import { eventsTable, observationsTable, tracesTable } from "../testbed/schema.ts";
import { connectTo } from "../testbed/server.ts";

const SIZE = { observations: 150_000, traces: 15_000, seed: 1 };

/** The database that `fillTwoMonths` makes. */
export const DATABASE = "langfuse";

/** The months in it. */
export const MONTHS = "202510..202511";

/** Makes two months of data: one, and the same a month earlier. */
export async function fillTwoMonths(url: string): Promise<void> {
  const server = connectTo(url);
  await server.command(`CREATE DATABASE ${DATABASE}`);
  const statements = [
    observationsTable("observations"),
    tracesTable("traces"),
    eventsTable("events"),
    ...dataStatements(SIZE).map(({ sql }) => sql),
    `INSERT INTO observations SELECT * REPLACE (start_time - toIntervalMonth(1) AS start_time, concat(id, '-1') AS id)
      FROM observations WHERE _partition_id = '202511'`,
  ];
  for (const sql of statements) await server.command(sql, { database: DATABASE });
}
