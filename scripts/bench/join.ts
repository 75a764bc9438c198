/**
 * The server's own way: one INSERT … SELECT … LEFT JOIN.
 *
 *   bun scripts/bench/join.ts <URL> <target table> <variant as JSON>
 */

import { Server } from "../../src/clickhouse/server.ts";
import { readServerSettings } from "../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings } from "../../src/clickhouse/settings/statement-settings.ts";
import { identifier, qualifiedTable } from "../../src/clickhouse/sql.ts";
import { enrichmentSql } from "../../src/mapping/enrichment-sql.ts";
import type { ResolvedMapping } from "../../src/mapping/resolve-mapping.ts";
import { WHOLE_KEY_SPACE } from "../../src/plan/key-range.ts";
import { OBSERVATIONS_KEY, rangeCondition } from "../../src/plan/source-key.ts";
import { windowDates } from "../../src/plan/trace-window.ts";
import { checkTables } from "../../src/run/preflight/preflight.ts";
import { runOptions } from "../testbed/run-options.ts";
import { connectTo } from "../testbed/server.ts";
import { PARTITION, TABLES } from "./data.ts";
import { DATABASE } from "./dataset.ts";
import type { JoinVariant } from "./join-variant.ts";

const [url = "", table = "", variantText = ""] = process.argv.slice(2);
const variant = JSON.parse(variantText) as JoinVariant;
const signal = new AbortController().signal;
const options = runOptions(connectTo(url), DATABASE, PARTITION, {
  tables: { source: TABLES.source, traces: "traces", target: table },
});
const server = new Server(options.connection);
server.settings = statementSettings(await readServerSettings(server, signal));
const { mapping } = await checkTables(server, options, { maxRetries: 0, onRetry: () => {}, signal });
const { sql, params, columns } =
  variant.statement === "reference"
    ? enrichmentSql(
        mapping,
        {
          phase: "observations",
          tables: {
            source: qualifiedTable(DATABASE, TABLES.source),
            traces: qualifiedTable(DATABASE, "traces"),
          },
          partition: PARTITION,
          window: { partition: PARTITION, windowDays: 2 },
          datasetRunItems: null,
        },
        rangeCondition(OBSERVATIONS_KEY, WHOLE_KEY_SPACE),
      )
    : leanStatement(mapping);
const target = qualifiedTable(DATABASE, table);
const rows = await server.insert(
  {
    sql: `INSERT INTO ${target} (${columns.map(identifier).join(", ")}) ${sql}`,
    params,
    settings: {
      join_algorithm: variant.algorithm,
      max_insert_threads: variant.insertThreads,
    },
  },
  [],
  signal,
);
server.close();
console.log(JSON.stringify({ rows }));

/**
 * A statement as one would write it by hand: it takes for granted that a trace is stored under one day only, and all
 * metadata values become JSON strings.
 */
function leanStatement(mapping: ResolvedMapping): {
  sql: string;
  params: Record<string, string>;
  columns: string[];
} {
  const metadata: Readonly<Record<string, string>> = {
    metadata: "toJSONString(merged)",
    metadata_names: "mapKeys(merged)",
    metadata_raw_values: "mapValues(merged)",
    metadata_values: "mapValues(merged)",
    source: "if(mapContains(merged, 'resourceAttributes'), 'otel', 'ingestion-api')",
  };
  const items = [
    ...mapping.copied,
    ...mapping.derived.map(({ column: { name, source } }) => ({ name, sql: metadata[name] ?? source.sql })),
  ];
  const traceColumns = mapping.traceColumns.map(({ name, sql }) => `${sql} AS ${name}`).join(", ");
  const { from, until } = windowDates(PARTITION, 2);
  return {
    sql: `WITH ifNull(o.version, '') AS own_version, notEmpty(own_version) AS has_own_version, empty(ifNull(o.parent_observation_id, '')) AS parent_is_empty,
        mapUpdate(mapFilter((k, v) -> k != 'attributes', CAST(t.metadata AS Map(String, String))), CAST(o.metadata AS Map(String, String))) AS merged
      SELECT ${items.map(({ name, sql }) => `${sql} AS ${identifier(name)}`).join(", ")}
      FROM (SELECT * FROM ${qualifiedTable(DATABASE, TABLES.source)} FINAL WHERE _partition_id = {partition:String}) AS o
      LEFT JOIN (
        SELECT t.project_id AS project_id, t.id AS id, ${traceColumns}
        FROM ${qualifiedTable(DATABASE, "traces")} AS t FINAL
        WHERE toDate(t.timestamp) >= {from:Date} AND toDate(t.timestamp) < {until:Date}
      ) AS t ON o.project_id = t.project_id AND o.trace_id = t.id`,
    params: { partition: PARTITION, from, until },
    columns: items.map(({ name }) => name),
  };
}
