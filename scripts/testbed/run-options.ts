import { PHASES } from "../../src/plan/phases.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import type { TestServer } from "./server.ts";

/** Options of a run with small pages, as a test starts from. */
export function runOptions(
  server: TestServer,
  database: string,
  partition: string,
  overrides: Partial<BackfillOptions> = {},
): BackfillOptions {
  return {
    partition,
    connection: { url: server.url, user: server.user, password: server.password, database },
    tables: { source: "observations", traces: "traces", target: "events" },
    datasetRunItemsTable: "dataset_run_items_rmt",
    layout: "events",
    only: PHASES,
    allowMissingView: true,
    engine: "client",
    serverMemoryBytes: null,
    batchSizeRows: 10_000,
    insertRows: 250_000,
    streamBlockSizeRows: 50_000,
    dryRun: false,
    maxRetries: 3,
    maxWaitMs: 60_000,
    parallelWorkers: 2,
    // Enough for a thread for each pipeline.
    cores: 8,
    traceWindowDays: 2,
    ignoreTtl: false,
    workerUrl: new URL("../../src/worker.ts", import.meta.url),
    ...overrides,
  };
}
