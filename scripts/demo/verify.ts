import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import { type EnrichmentScope, enrichmentSql } from "../../src/mapping/enrichment-sql.ts";
import { LAYOUTS } from "../../src/mapping/layouts.ts";
import { resolveMapping } from "../../src/mapping/resolve-mapping.ts";
import type { TableShape } from "../../src/mapping/table-shape.ts";
import { WHOLE_KEY_SPACE } from "../../src/plan/key-range.ts";
import type { MonthlyPhase } from "../../src/plan/phases.ts";
import { PHASE_KEYS, rangeCondition } from "../../src/plan/source-key.ts";
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
  const { sql, params, columns } = enrichmentSql(
    resolveMapping({ source, traces, target }),
    scopeOf(database, partition, "observations"),
    rangeCondition(PHASE_KEYS.observations, WHOLE_KEY_SPACE),
  );
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

/**
 * The same for `events_full` of Langfuse v4: root rows and observations in every column, and of the traces that dataset runs name, whose rows
 * carry the time of writing, how many rows there are.
 */
export async function verifyV4(
  server: TestServer,
  database: string,
  partition: string,
): Promise<Verification> {
  const [source, traces, target] = await Promise.all([
    shapeOf(server, database, "observations"),
    shapeOf(server, database, "traces"),
    shapeOf(server, database, "events_full"),
  ]);
  const { observations, roots } = LAYOUTS.v4;
  for (const table of ["expected", "actual"]) {
    await server.command(`DROP TABLE IF EXISTS ${table}`, { database });
    await server.command(`CREATE TABLE ${table} AS events_full`, { database });
  }
  for (const [phase, kind] of [
    ["observations", observations],
    ["roots", roots],
  ] as const) {
    const mapping = resolveMapping({ source, traces, target }, kind);
    const { sql, params, columns } = enrichmentSql(
      mapping,
      { ...scopeOf(database, partition, phase), datasetRunItems: "dataset_run_items_rmt" },
      rangeCondition(PHASE_KEYS[phase], WHOLE_KEY_SPACE),
    );
    await server.command(`INSERT INTO expected (${columns.join(", ")}) ${sql}`, {
      database,
      params,
      settings: { optimize_on_insert: 0 },
    });
  }
  const options = { database };
  const named = "(SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)";
  await server.command(
    `INSERT INTO actual SELECT * FROM events_full WHERE (project_id, trace_id) NOT IN ${named}`,
    options,
  );
  const pair = { database, actual: "actual", expected: "expected" };
  const comparison = await compareTables(server, pair, "multiset");
  const countOf = async (table: string, trace: string): Promise<number> =>
    Number(
      await server.query(`SELECT count() FROM ${table} FINAL WHERE (project_id, ${trace}) IN ${named}`, {
        database,
      }),
    );
  const expectedRows = (await countOf("observations", "trace_id")) + (await countOf("traces", "id"));
  const actualRows = await countOf("events_full", "trace_id");
  const differing = comparison.differingRows + Math.abs(expectedRows - actualRows);
  return {
    ...comparison,
    actualRows: comparison.actualRows + actualRows,
    expectedRows: comparison.expectedRows + expectedRows,
    differingRows: differing,
    description: `${describeComparison(pair, comparison)}\nDataset runs: ${actualRows} rows, expected ${expectedRows}`,
  };
}

function scopeOf(database: string, partition: string, phase: MonthlyPhase): EnrichmentScope {
  const traces = qualifiedTable(database, "traces");
  return {
    phase,
    tables: { source: qualifiedTable(database, "observations"), traces },
    partition,
    window: { partition, windowDays: TRACE_WINDOW_DAYS },
    datasetRunItems: null,
  };
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
