import type { ConnectionSettings } from "../clickhouse/connection.ts";
import type { PageLedger } from "./ledger.ts";

/** What a run copies, from where, and how. */
export interface BackfillOptions {
  /** `YYYYMM`. */
  readonly partition: string;
  readonly connection: ConnectionSettings;
  readonly tables: { readonly source: string; readonly traces: string; readonly target: string };
  readonly batchSizeRows: number;
  readonly streamBlockSizeRows: number;
  readonly dryRun: boolean;
  readonly maxRetries: number;
  readonly parallelWorkers: number;
  readonly traceWindowDays: number;
  /** Entry point of the page workers. */
  readonly workerUrl: URL;
}

/** The figures of the final report. */
export interface BackfillReport {
  readonly outcome: "done" | "nothing-to-do" | "already-finished" | "dry-run";
  readonly observationsRead: number;
  readonly eventsInserted: number;
  readonly tracesLoaded: number;
  readonly observationsWithoutTrace: number;
  readonly retries: number;
  readonly durationMs: number;
  readonly bytesRead: number;
}

/** What a run tells while it works. Counts are cumulative within this run. */
export type BackfillEvent =
  | { readonly kind: "connected"; readonly serverVersion: string; readonly url: string }
  | { readonly kind: "planned"; readonly totalRows: number; readonly doneRows: number }
  | { readonly kind: "traces"; readonly loaded: number; readonly total: number; readonly bytes: number }
  | { readonly kind: "rows"; readonly rows: number; readonly bytes: number }
  | {
      readonly kind: "retry";
      readonly step: string;
      readonly attempt: number;
      readonly maxRetries: number;
      readonly delayMs: number;
      readonly message: string;
    }
  | { readonly kind: "notice"; readonly message: string };

/**
 * Copies the partition, page by page.
 * `stop` ends the run gracefully: no new page is begun, batches in flight finish, and the returned promise rejects
 * with the signal's reason.
 */
export function runBackfill(
  _options: BackfillOptions,
  _ledger: PageLedger,
  _emit: (event: BackfillEvent) => void,
  _stop: AbortSignal,
): Promise<BackfillReport> {
  return Promise.reject(new Error("not built yet"));
}
