import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import { referenceStatement } from "../../src/mapping/reference-sql.ts";
import { resolveMapping } from "../../src/mapping/resolve-mapping.ts";
import type { TableShape } from "../../src/mapping/table-shape.ts";
import { windowDates } from "../../src/traces/queries.ts";
import { type Comparison, compareTables, describeComparison } from "../testbed/compare.ts";
import { JSON_SETTINGS } from "../testbed/schema.ts";
import type { TestServer } from "../testbed/server.ts";

/** Days around the month in which traces are loaded, as in a run at its defaults. */
const TRACE_WINDOW_DAYS = 2;

export interface Verification extends Comparison {
  /** The differences in words. */
  readonly description: string;
}

/** Computes the events once more, by one SQL statement on the server, and compares them with the table `events`. */
export async function verifyEvents(
  server: TestServer,
  database: string,
  partition: string,
): Promise<Verification> {
  const [source, traces, target] = await Promise.all([
    shapeOf(server, database, "observations"),
    shapeOf(server, database, "traces"),
    shapeOf(server, database, "events"),
  ]);
  const { sql, params, columns } = referenceStatement(resolveMapping({ source, traces, target }), {
    source: qualifiedTable(database, "observations"),
    traces: qualifiedTable(database, "traces"),
    partition,
    window: windowDates(partition, TRACE_WINDOW_DAYS),
  });
  await server.command("DROP TABLE IF EXISTS expected", { database });
  await server.command("CREATE TABLE expected AS events", { database });
  await server.command(`INSERT INTO expected (${columns.join(", ")}) ${sql}`, {
    database,
    params,
    settings: { ...JSON_SETTINGS, optimize_on_insert: 0 },
  });
  const pair = { database, actual: "events", expected: "expected" };
  const comparison = await compareTables(server, pair, "multiset");
  return { ...comparison, description: describeComparison(pair, comparison) };
}

async function shapeOf(server: TestServer, database: string, table: string): Promise<TableShape> {
  const columns = await server.queryJson<{ name: string; type: string; kind: string }>(
    `SELECT name, type, default_kind AS kind FROM system.columns
     WHERE database = {database:String} AND table = {table:String} ORDER BY position`,
    { params: { database, table } },
  );
  return {
    name: table,
    columns: columns.map(({ name, type, kind }) => ({
      name,
      type,
      isComputed: kind === "MATERIALIZED" || kind === "ALIAS",
    })),
  };
}
