import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import { enrichmentSql } from "../../src/mapping/enrichment-sql.ts";
import { resolveMapping } from "../../src/mapping/resolve-mapping.ts";
import type { TableShape } from "../../src/mapping/table-shape.ts";
import { WHOLE_KEY_SPACE } from "../../src/plan/key-range.ts";
import { OBSERVATIONS_KEY, rangeCondition } from "../../src/plan/source-key.ts";
import { dataStatements } from "../demo/data.ts";
import { compareTables, describeComparison } from "../testbed/compare.ts";
import { observationsTable, tracesTable } from "../testbed/schema.ts";
import type { TestServer } from "../testbed/server.ts";

/** The month that has data. */
export const PARTITION = "202511";

const SIZE = { observations: 5_000, traces: 500, seed: 1 };
const TRACE_WINDOW_DAYS = 2;

/** A table of events with no type or index that ClickHouse 24.3 lacks: the JSON columns of Langfuse's need 25.3. */
const PLAIN_EVENTS = `CREATE TABLE events (
  project_id String, trace_id String, span_id String, parent_span_id String, name String,
  type LowCardinality(String), environment LowCardinality(String), level LowCardinality(String),
  start_time DateTime64(6), end_time Nullable(DateTime64(6)), completion_start_time Nullable(DateTime64(6)),
  version String, release String, user_id String, session_id String, tags Array(String), public Bool, bookmarked Bool,
  status_message String, input String, output String, model_id String, provided_model_name String, model_parameters String,
  prompt_id String, prompt_name String, prompt_version Nullable(UInt16),
  usage_details Map(LowCardinality(String), UInt64), cost_details Map(LowCardinality(String), Decimal(18, 12)),
  metadata_names Array(String), metadata_raw_values Array(String), source LowCardinality(String),
  created_at DateTime64(6), updated_at DateTime64(6), event_ts DateTime64(6), is_deleted UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(start_time)
PRIMARY KEY (project_id, start_time, xxHash32(trace_id)) ORDER BY (project_id, start_time, xxHash32(trace_id), span_id)`;

/** Makes a database with a small month of traces and observations, and an empty table events; returns its name. */
export async function makeMonth(server: TestServer): Promise<string> {
  const database = await server.createDatabase("smoke");
  const tables = [tracesTable("traces"), observationsTable("observations"), PLAIN_EVENTS];
  for (const sql of [...tables, ...dataStatements(SIZE).map(({ sql }) => sql)]) {
    await server.command(sql, { database });
  }
  return database;
}

/** Compares the events with the same enrichment as one SQL statement. Throws unless they are the same; returns their number. */
export async function verifyMonth(server: TestServer, database: string): Promise<number> {
  const [source, traces, target] = await Promise.all([
    shapeOf(server, database, "observations"),
    shapeOf(server, database, "traces"),
    shapeOf(server, database, "events"),
  ]);
  const { sql, params, columns } = enrichmentSql(
    resolveMapping({ source, traces, target }),
    {
      phase: "observations",
      tables: {
        source: qualifiedTable(database, "observations"),
        traces: qualifiedTable(database, "traces"),
      },
      partition: PARTITION,
      window: { partition: PARTITION, windowDays: TRACE_WINDOW_DAYS },
      datasetRunItems: null,
    },
    rangeCondition(OBSERVATIONS_KEY, WHOLE_KEY_SPACE),
  );
  await server.command("CREATE TABLE expected AS events", { database });
  const settings = { optimize_on_insert: 0 };
  await server.command(`INSERT INTO expected (${columns.join(", ")}) ${sql}`, { database, params, settings });
  const pair = { database, actual: "events", expected: "expected" };
  const comparison = await compareTables(server, pair, "multiset");
  if (comparison.differingRows > 0 || comparison.actualRows === 0) {
    throw new Error(`The events are not as they should be. ${describeComparison(pair, comparison)}`);
  }
  return comparison.actualRows;
}

async function shapeOf(server: TestServer, database: string, name: string): Promise<TableShape> {
  const columns = await server.queryJson<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns
     WHERE database = {database:String} AND table = {name:String} ORDER BY position`,
    { params: { database, name } },
  );
  return { name, columns: columns.map((column) => ({ ...column, isComputed: false })) };
}
