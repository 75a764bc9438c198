import type { RetryPolicy } from "../../../src/clickhouse/retry.ts";
import { Server, type Statement } from "../../../src/clickhouse/server.ts";
import { readServerSettings } from "../../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings, withPreferred } from "../../../src/clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { selectList } from "../../../src/copy/read-page.ts";
import type { ResolvedMapping } from "../../../src/mapping/resolve-mapping.ts";
import { checkTables } from "../../../src/run/preflight/preflight.ts";
import { tracesStatement } from "../../../src/traces/queries.ts";
import { runOptions } from "../../testbed/run-options.ts";
import { PARTITION, TABLES } from "../data.ts";
import { DATABASE, type Dataset } from "../dataset.ts";

/** Responses of the server as they arrived, held in memory. */
export interface Capture {
  readonly mapping: ResolvedMapping;
  /** The response to the pages' query, in the chunks that the connection gave. */
  readonly observations: readonly Uint8Array[];
  readonly traces: readonly Uint8Array[];
}

const NEVER = new AbortController().signal;
const BATCH_ROWS = 10_000;

/** Requests the traces and observations, at most `maxRows` of them, as a run does, as one page. */
export async function capture(dataset: Dataset, maxRows: number): Promise<Capture> {
  const options = runOptions(dataset.server, DATABASE, PARTITION);
  const server = new Server(options.connection);
  try {
    const retry: RetryPolicy = { maxRetries: 0, onRetry: () => {}, signal: NEVER };
    const user = await readServerSettings(server, NEVER);
    server.settings = withPreferred(statementSettings(user), user, {
      pageRead: BATCH_ROWS,
      traceRead: BATCH_ROWS,
      insert: BATCH_ROWS,
      compression: "none",
    });
    const { mapping } = await checkTables(server, options, retry);
    const scope = {
      table: qualifiedTable(DATABASE, "traces"),
      window: { partition: PARTITION, windowDays: 2 },
    };
    const traces = tracesStatement(scope, mapping.traceColumns, { after: null, upTo: null });
    return {
      mapping,
      observations: await response(server, observationsStatement(mapping, maxRows)),
      traces: await response(server, traces),
    };
  } finally {
    await server.close();
  }
}

function observationsStatement(mapping: ResolvedMapping, maxRows: number): Statement {
  const from = `${qualifiedTable(DATABASE, TABLES.source)} AS o FINAL WHERE o._partition_id = {partition:String}`;
  return {
    sql: `SELECT ${selectList(mapping)} FROM ${from} LIMIT {rows:UInt64}`,
    params: { partition: PARTITION, rows: maxRows },
  };
}

async function response(server: Server, statement: Statement): Promise<Uint8Array[]> {
  const { chunks } = await server.select({ kind: "pageRead", ...statement }, NEVER);
  // Each is good until the next only.
  return await Array.fromAsync(chunks, (chunk) => new Uint8Array(chunk));
}
