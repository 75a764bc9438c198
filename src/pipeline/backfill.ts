import type { ConnectionSettings } from "../clickhouse/connection.ts";
import {
  type KnownSettings,
  knownSettings,
  querySettings,
  readSettings,
  writeSettings,
} from "../clickhouse/query-settings.ts";
import { type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import type { ResolvedMapping } from "../mapping/resolve.ts";
import {
  averageRowBytes,
  countRows,
  greatestKey,
  type Page,
  type PlanScope,
  planPages,
} from "../plan/pages.ts";
import type { PageLedger } from "./ledger.ts";
import { loadTraceStore } from "./load-trace-store.ts";
import { checkTables, connect } from "./preflight.ts";
import { RunProgress } from "./run-progress.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { WorkerSetup } from "./worker-protocol.ts";

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
  /** Pages turned out to have fewer rows than planned (old versions were counted), or more. */
  | { readonly kind: "replanned"; readonly totalRows: number }
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
 * Copies what is left of the partition, page by page, and reports what was done.
 * `stop` ends the run gracefully: no new page is begun, batches in flight finish, and the promise rejects with the
 * signal's reason. Rejects with a RunError when the run fails.
 */
export async function runBackfill(
  options: BackfillOptions,
  ledger: PageLedger,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
): Promise<BackfillReport> {
  const run = new BackfillRun(options, ledger, emit, stop);
  try {
    return await run.execute();
  } catch (error) {
    stop.throwIfAborted();
    if (error instanceof RunError) throw error;
    throw new RunError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Blocks of traces, whose rows are small. */
const TRACE_BLOCK_ROWS = 16_384;
/** Blocks of pages are about that large, at most. */
const BLOCK_BYTES = 16 * 2 ** 20;

/** The rows that a block may have: a batch's, or fewer where rows are large. */
function blockRows(batchRows: number, rowBytes: number | null): number {
  return rowBytes === null ? batchRows : Math.min(batchRows, Math.max(1, Math.round(BLOCK_BYTES / rowBytes)));
}

class BackfillRun {
  readonly #options: BackfillOptions;
  readonly #ledger: PageLedger;
  readonly #emit: (event: BackfillEvent) => void;
  readonly #stop: AbortSignal;
  readonly #startedMs = performance.now();
  readonly #retry: RetryPolicy;
  readonly #progress: RunProgress;

  constructor(
    options: BackfillOptions,
    ledger: PageLedger,
    emit: (event: BackfillEvent) => void,
    stop: AbortSignal,
  ) {
    this.#options = options;
    this.#ledger = ledger;
    this.#emit = emit;
    this.#stop = stop;
    this.#progress = new RunProgress(options.parallelWorkers, emit);
    this.#retry = {
      maxRetries: options.maxRetries,
      onRetry: (notice) => this.#progress.retry(notice),
      signal: stop,
    };
  }

  async execute(): Promise<BackfillReport> {
    if (this.#ledger.finished) return this.#report("already-finished");
    const server = new Server(this.#options.connection);
    try {
      return await this.#copy(server);
    } finally {
      await server.close();
    }
  }

  async #copy(server: Server): Promise<BackfillReport> {
    const { connection, tables, partition, batchSizeRows, streamBlockSizeRows } = this.#options;
    const serverVersion = await connect(server, this.#options, this.#retry);
    this.#emit({ kind: "connected", serverVersion, url: connection.url });
    const known = await withRetry("Reading the server's settings", this.#retry, () =>
      knownSettings(server, this.#stop),
    );
    server.querySettings = querySettings(known);
    const mapping = await checkTables(server, this.#options, this.#retry);
    const scope: PlanScope = {
      server,
      table: qualifiedTable(connection.database, tables.source),
      partition,
      pageRows: streamBlockSizeRows,
      retry: this.#retry,
    };
    const remaining = this.#ledger.remaining();
    let rows = 0;
    for (const range of remaining) rows += await countRows(scope, range);
    if (rows === 0 && this.#ledger.rowsProcessed === 0) return this.#report("nothing-to-do");
    this.#progress.plan(rows, this.#ledger.rowsProcessed);
    // Looked up first: once everything is copied, no query may fail the run any more.
    const lastKey = this.#options.dryRun ? null : await greatestKey(scope);
    const rowBytes = await averageRowBytes(scope, connection.database, tables.source);
    const setup = this.#workerSetup(mapping, known, scope, blockRows(batchSizeRows, rowBytes));
    const pool = new WorkerPool(this.#options.workerUrl, this.#options.parallelWorkers, (news, worker) =>
      this.#progress.hear(news, worker),
    );
    const stopPool = (): void => pool.stop();
    this.#stop.addEventListener("abort", stopPool, { once: true });
    try {
      await pool.setUp(setup);
      await loadTraceStore(server, pool, setup.traceScope, this.#retry, this.#progress);
      await this.#copyPages(pool, planPages(scope, remaining));
      if (!this.#options.dryRun) this.#ledger.finishPartition(lastKey);
    } finally {
      this.#stop.removeEventListener("abort", stopPool);
      pool.terminate();
    }
    return this.#report(this.#options.dryRun ? "dry-run" : "done");
  }

  #workerSetup(
    mapping: ResolvedMapping,
    known: KnownSettings,
    scope: PlanScope,
    blockRows: number,
  ): WorkerSetup {
    const { connection, tables, partition, batchSizeRows, dryRun, maxRetries, traceWindowDays } =
      this.#options;
    return {
      connection,
      mapping,
      source: scope.table,
      target: qualifiedTable(connection.database, tables.target),
      partition,
      traceScope: {
        table: qualifiedTable(connection.database, tables.traces),
        partition,
        windowDays: traceWindowDays,
      },
      batchRows: batchSizeRows,
      dryRun,
      maxRetries,
      pageSettings: readSettings(known, blockRows),
      traceSettings: readSettings(known, TRACE_BLOCK_ROWS),
      writeSettings: writeSettings(known),
    };
  }

  async #copyPages(pool: WorkerPool, pages: AsyncGenerator<Page, void, void>): Promise<void> {
    await pool.doAll(pages, async (worker, page, number) => {
      this.#stop.throwIfAborted();
      this.#progress.beginPage(number, page);
      const done = await worker.call("copyPage", page.range);
      if (!this.#options.dryRun) this.#ledger.finishPage(page.range, done.rows);
      this.#progress.finishPage(number, done);
    });
  }

  #report(outcome: BackfillReport["outcome"]): BackfillReport {
    const { rows, withoutTrace, bytes, traces, retries } = this.#progress.totals();
    return {
      outcome,
      observationsRead: rows,
      eventsInserted: outcome === "done" ? rows : 0,
      tracesLoaded: traces,
      observationsWithoutTrace: withoutTrace,
      retries,
      durationMs: performance.now() - this.#startedMs,
      bytesRead: bytes,
    };
  }
}
