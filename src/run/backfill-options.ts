import type { ConnectionSettings } from "../clickhouse/connection.ts";
import type { LayoutName } from "../mapping/layouts.ts";
import type { PhaseName } from "../plan/phases.ts";

/** What a run copies, from where, and how. */
export interface BackfillOptions {
  /** `YYYYMM`. */
  readonly partition: string;
  readonly connection: ConnectionSettings;
  readonly tables: { readonly source: string; readonly traces: string; readonly target: string };
  /** Of Langfuse v4; a database without it has no dataset runs. */
  readonly datasetRunItemsTable: string;
  /** What the target is made of; auto: as its columns say. */
  readonly layout: "auto" | LayoutName;
  /** Whether a run goes on although no view fills `events_core` (layout v4). */
  readonly allowMissingView: boolean;
  /** What to copy, as far as the layout has it. */
  readonly only: readonly PhaseName[];
  /** Who enriches the rows of months: this program, or the server by key range. */
  readonly engine: "client" | "server";
  /** The most memory that a query of the engine `server` may take; null: a quarter of the server's. */
  readonly serverMemoryBytes: number | null;
  readonly batchSizeRows: number;
  /** Rows of an INSERT statement, at most. */
  readonly insertRows: number;
  readonly streamBlockSizeRows: number;
  readonly dryRun: boolean;
  readonly maxRetries: number;
  /** How long an insert waits for merges while the target has too many parts; 0: it does not. */
  readonly maxWaitMs: number;
  /** Pages that are copied at the same time. */
  readonly parallelWorkers: number;
  /** Of this machine. Pipelines share threads where there are more of them. */
  readonly cores: number;
  readonly traceWindowDays: number;
  /** Whether a run goes on although a TTL of the target would delete or empty what it inserts. */
  readonly ignoreTtl: boolean;
  /** Entry point of the page workers. */
  readonly workerUrl: URL;
  /** Whether to emit an event for each query that has ended. */
  readonly recordsQueries?: boolean;
}
