import { randomUUID } from "node:crypto";
import type { ConnectionSettings } from "../clickhouse/connection.ts";
import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { QueryRecord, QuietServer } from "../clickhouse/query-observer.ts";
import { OperationError, type RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { isServerFailure } from "../clickhouse/server-errors.ts";
import { parsesJsonByDefault } from "../clickhouse/settings/json-parsing.ts";
import type { SettingsOfUser } from "../clickhouse/settings/server-settings.ts";
import { statementSettings, withPreferred } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { CheckpointError, RunError } from "../errors.ts";
import { MappingError, type ResolvedMapping } from "../mapping/resolve.ts";
import type { KeyRange, SortingKey } from "../plan/key-range.ts";
import {
  averageRowBytes,
  countRows,
  greatestKey,
  type Page,
  type PlanScope,
  planPages,
} from "../plan/pages.ts";
import { type Work, WorkerPool } from "../threads/worker-pool.ts";
import type { WorkerSetup } from "../threads/worker-protocol.ts";
import { TraceStoreFullError } from "../traces/store-full-error.ts";
import { type CopiedRange, inKeyOrder, type VerificationResult, verifyCounts } from "./count-verification.ts";
import { loadTraceStore } from "./load-trace-store.ts";
import type { PageLedger } from "./page-ledger.ts";
import { connect } from "./preflight/connect.ts";
import { type Month, monthsOf } from "./preflight/months.ts";
import { preflight } from "./preflight/preflight.ts";
import { RunProgress } from "./run-progress.ts";
import { readServerClock, type ServerClock } from "./server-clock.ts";
import { countTargetRows } from "./target-rows.ts";
import { describeMissing, describeUnsettled } from "./verification-report.ts";

/** What a run copies, from where, and how. */
export interface BackfillOptions {
  /** `YYYYMM`. */
  readonly partition: string;
  readonly connection: ConnectionSettings;
  readonly tables: { readonly source: string; readonly traces: string; readonly target: string };
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
  /** Whether an event is wanted for each query that has ended. */
  readonly recordsQueries?: boolean;
}

/** The figures of the final report. */
export interface BackfillReport {
  readonly outcome: "done" | "nothing-to-do" | "already-finished" | "dry-run";
  readonly observationsRead: number;
  readonly eventsInserted: number;
  readonly tracesLoaded: number;
  readonly observationsWithoutTrace: number;
  readonly retries: number;
  /** Rows that are not in the target, since the server rejects them. */
  readonly rowsSkipped: number;
  /** Batches, and parts of batches, that were sent in halves since they were too large. */
  readonly batchesHalved: number;
  /** Time in which at least one worker waited for merges. */
  readonly waitedMs: number;
  /** Rows that were not read, since they were written after their page was read. */
  readonly lateRows: number;
  /** Rows that were read, and may have been written again since. */
  readonly rewrittenRows: number;
  readonly durationMs: number;
  readonly bytesRead: number;
  /** What the user should know of what is, or is not, in the target. */
  readonly warnings: readonly string[];
  /** Where there was nothing to do: the months that the source has, the newest first. */
  readonly months: readonly Month[];
}

/** What a run tells while it works. Counts are cumulative within this run. */
export type BackfillEvent =
  | { readonly kind: "connected"; readonly serverVersion: string; readonly url: string }
  | { readonly kind: "planned"; readonly totalRows: number; readonly doneRows: number }
  | { readonly kind: "traces"; readonly loaded: number; readonly total: number; readonly bytes: number }
  /** Pages turned out to have fewer rows than planned (old versions were counted), or more. */
  | { readonly kind: "replanned"; readonly totalRows: number }
  /** Rows that were read, with their size, and those of them that are kept: acknowledged and in the checkpoint. */
  | { readonly kind: "rows"; readonly rows: number; readonly bytes: number; readonly keptRows: number }
  /** Rows of the source that were counted to verify that they were read. */
  | { readonly kind: "verified"; readonly rows: number; readonly totalRows: number }
  | {
      readonly kind: "retry";
      readonly step: string;
      readonly attempt: number;
      readonly maxRetries: number;
      readonly delayMs: number;
      readonly message: string;
    }
  /** The run pauses until the server has finished something. */
  | ({ readonly kind: "wait" } & WaitNotice)
  /** An insert is sent in halves: it is too large, or to find the row that the server rejects. */
  | {
      readonly kind: "split";
      readonly reason: "size" | "data";
      readonly step: string;
      readonly message: string;
    }
  | { readonly kind: "notice"; readonly message: string }
  /** A query has ended; only where these events are wanted. */
  | { readonly kind: "query"; readonly record: QueryRecord }
  /** The server is waited for and sends nothing; said after 20 s, and each time that has doubled. */
  | ({ readonly kind: "quiet" } & QuietServer)
  /** Something that the user should look at; the run goes on. */
  | { readonly kind: "warning"; readonly message: string };

/**
 * Copies what is left of the partition, page by page, counts the source to verify that nothing is missing, and reports
 * what was done. `stop` ends the run gracefully: no new page is begun, batches in flight finish, and the promise rejects
 * with the signal's reason. `rejectedRows` takes the rows that cannot be inserted; without it the first such row ends the run.
 * Rejects with a RunError when the run fails, and with any other error where that is a bug.
 */
export async function runBackfill(
  options: BackfillOptions,
  ledger: PageLedger,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
  rejectedRows: RejectedRowLog | null = null,
): Promise<BackfillReport> {
  const run = new BackfillRun(options, ledger, emit, stop, rejectedRows);
  try {
    return await run.execute();
  } catch (error) {
    stop.throwIfAborted();
    throw isExpected(error) ? new RunError(error.message, { cause: error }) : error;
  }
}

/** Whether an error is one that runs meet. Any other is a bug, and must not be dressed up as a failure of the run. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof OperationError ||
    error instanceof MappingError ||
    error instanceof TraceStoreFullError ||
    isServerFailure(error)
  );
}

/** Blocks of traces, whose rows are small. */
const TRACE_BLOCK_ROWS = 16_384;
/** Counting queries at a time: the server runs each with several threads. */
const MAX_COUNT_QUERIES = 4;
/** Rows that each counts: seconds of work. FINAL merges as it reads, so that its memory does not grow with them. */
const COUNT_QUERY_ROWS = 4_000_000;
/** What blocks of pages are asked to be, at most. Servers give no less than a granule: up to 10 MiB by default. */
const BLOCK_BYTES = 2 * 2 ** 20;

/** The rows that a block may have: a batch's, or fewer where rows are large. */
function blockRows(batchRows: number, rowBytes: number | null): number {
  return rowBytes === null ? batchRows : Math.min(batchRows, Math.max(1, Math.round(BLOCK_BYTES / rowBytes)));
}

const NOTHING_LATE = { lateRows: 0, rewrittenRows: 0 };

class BackfillRun {
  /** Tells its queries from those of other runs. */
  readonly #id = randomUUID().slice(0, 8);
  readonly #options: BackfillOptions;
  readonly #ledger: PageLedger;
  readonly #emit: (event: BackfillEvent) => void;
  readonly #stop: AbortSignal;
  readonly #startedMs = performance.now();
  readonly #retry: RetryPolicy;
  readonly #progress: RunProgress;
  readonly #rejectedRows: RejectedRowLog | null;
  readonly #warnings: string[] = [];
  /** What this run has copied. */
  readonly #copied: CopiedRange[] = [];

  constructor(
    options: BackfillOptions,
    ledger: PageLedger,
    emit: (event: BackfillEvent) => void,
    stop: AbortSignal,
    rejectedRows: RejectedRowLog | null,
  ) {
    this.#options = options;
    this.#rejectedRows = rejectedRows;
    this.#ledger = ledger;
    this.#emit = emit;
    this.#stop = stop;
    this.#progress = new RunProgress(emit);
    this.#retry = {
      maxRetries: options.maxRetries,
      onRetry: (notice) => this.#progress.retry(notice),
      signal: stop,
    };
  }

  async execute(): Promise<BackfillReport> {
    const { connection, recordsQueries } = this.#options;
    const server = new Server(connection, {
      queryIdPrefix: this.#id,
      observer: {
        onQuiet: (quiet) => this.#emit({ kind: "quiet", ...quiet }),
        ...(recordsQueries === true
          ? { onQuery: (record: QueryRecord) => this.#emit({ kind: "query", record }) }
          : {}),
      },
    });
    try {
      return this.#ledger.finished ? await this.#confirmFinished(server) : await this.#copy(server);
    } finally {
      server.close();
    }
  }

  async #copy(server: Server): Promise<BackfillReport> {
    const { connection, tables, partition, batchSizeRows, streamBlockSizeRows } = this.#options;
    const { serverVersion, userSettings } = await connect(server, this.#options, this.#retry);
    this.#emit({ kind: "connected", serverVersion, url: connection.url });
    const { mapping, warnings, ...target } = await preflight(server, this.#options, this.#retry, {
      onWarning: (message) => this.#emit({ kind: "warning", message }),
      onWait: (notice) => this.#progress.wait(notice),
    });
    this.#warnings.push(...warnings);
    const clock = await readServerClock(server, this.#retry);
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
    // Ranges without rows that an earlier run has finished may have come back empty by mistake: they are to be verified.
    if (rows === 0 && this.#ledger.done.length === 0) {
      const months = await monthsOf(server, connection.database, tables.source, this.#retry);
      return { ...this.#report("nothing-to-do"), months };
    }
    this.#progress.plan(rows, this.#ledger.rowsProcessed);
    const earlierReadSinceMs = this.#ledger.begin(clock.nowMs());
    const lastKey = this.#options.dryRun ? null : await greatestKey(scope);
    if (remaining.length > 0) {
      const rowBytes = await averageRowBytes(scope, connection.database, tables.source);
      const setup = this.#workerSetup(mapping, userSettings, scope, blockRows(batchSizeRows, rowBytes), {
        timeZone: clock.timeZone,
        takesJsonPaths: target.takesJsonPaths && parsesJsonByDefault(userSettings),
        targetHasViews: target.targetHasViews,
      });
      await this.#copyRanges(scope, remaining, setup, clock);
    }
    const verification = await this.#verify(scope, mapping, earlierReadSinceMs);
    this.#refuseIfAllRejected(qualifiedTable(connection.database, tables.target));
    if (!this.#options.dryRun) await this.#finish(server, lastKey);
    return this.#report(this.#options.dryRun ? "dry-run" : "done", verification);
  }

  /** A finished month is one whose events are still there. */
  async #confirmFinished(server: Server): Promise<BackfillReport> {
    const { partition, tables, connection } = this.#options;
    const { serverVersion } = await connect(server, this.#options, this.#retry);
    this.#emit({ kind: "connected", serverVersion, url: connection.url });
    const found = await countTargetRows(server, this.#options, this.#retry);
    // A checkpoint of an earlier version records no rows of the target; then only an empty one is certainly wrong.
    const recorded = this.#ledger.targetRows ?? Math.min(1, this.#ledger.rowsProcessed);
    if (found !== null && found < recorded) {
      const expected = this.#ledger.targetRows ?? this.#ledger.rowsProcessed;
      throw new CheckpointError(
        `Partition ${partition} was finished by an earlier run, but ${tables.target} now has ${found} of the ${expected} rows that it had then\n` +
          "If they were deleted on purpose, nothing is to be done. --restart sets the checkpoint aside and copies the month again.",
      );
    }
    return this.#report("already-finished");
  }

  /** Marks the month as finished, with the rows that the target has of it now. */
  async #finish(server: Server, lastKey: SortingKey | null): Promise<void> {
    this.#ledger.finishPartition(lastKey, await countTargetRows(server, this.#options, this.#retry));
  }

  /**
   * Throws a RunError when the server rejected every row: the cause is then the target, and no single row. What this run
   * has skipped is no longer done.
   */
  #refuseIfAllRejected(target: string): void {
    const { rows, skipped } = this.#progress.totals();
    const earlier = this.#ledger.done;
    if (skipped === 0 || skipped < rows || earlier.length > 0) return;
    this.#ledger.keepOnly([]);
    throw new RunError(
      `Inserting into ${target}: the server rejected all ${rows} rows, so that nothing was inserted\nThe file of --skip-bad-rows names the rows and the server's reasons. Correct what is in their way; then run the same command again.`,
    );
  }

  async #copyRanges(
    scope: PlanScope,
    ranges: readonly KeyRange[],
    setup: WorkerSetup,
    clock: ServerClock,
  ): Promise<void> {
    const { workerUrl, parallelWorkers, cores } = this.#options;
    const pool = new WorkerPool(workerUrl, Math.min(parallelWorkers, cores), (news) =>
      this.#progress.hear(news),
    );
    const stopPool = (): void => pool.stop();
    this.#stop.addEventListener("abort", stopPool, { once: true });
    try {
      await pool.setUp(setup);
      await loadTraceStore(scope.server, pool, setup.traceScope, this.#retry, this.#progress);
      // Each thread compiles the program for itself: another one pays where it has a core, besides that of the rest of the process.
      pool.shrink(Math.min(parallelWorkers, Math.max(1, cores - 1)));
      await this.#copyPages(pool, planPages(scope, ranges), clock);
    } finally {
      this.#stop.removeEventListener("abort", stopPool);
      pool.terminate();
    }
  }

  /**
   * Counts the source and compares it with what was read. Throws a RunError when rows are missing; their ranges are then no
   * longer done. A dry run verifies only what it has read itself.
   */
  async #verify(
    scope: PlanScope,
    mapping: ResolvedMapping,
    earlierReadSinceMs: number,
  ): Promise<VerificationResult> {
    const { dryRun, parallelWorkers } = this.#options;
    const earlier = dryRun
      ? []
      : this.#ledger.done.map((range) => ({ ...range, readSinceMs: earlierReadSinceMs }));
    const copied = [...earlier, ...this.#copied];
    const startedMs = performance.now();
    this.#emit({ kind: "notice", message: `Counting ${scope.table} to compare it with what was read` });
    const totalRows = copied.reduce((sum, { rows }) => sum + rows, 0);
    let verifiedRows = 0;
    this.#emit({ kind: "verified", rows: 0, totalRows });
    const isCopied = (name: string): boolean => mapping.copied.some((column) => column.name === name);
    const verification = await verifyCounts(
      {
        ...scope,
        // The engine's version column is there in any case, the others where they are copied.
        timeColumns: ["event_ts", ...["created_at", "updated_at"].filter(isCopied)],
        parallelQueries: Math.min(parallelWorkers, MAX_COUNT_QUERIES),
        queryRows: COUNT_QUERY_ROWS,
        onVerified: (rows) => {
          verifiedRows += rows;
          this.#emit({ kind: "verified", rows: verifiedRows, totalRows });
        },
      },
      copied,
    );
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    if (verification.missing.length > 0) {
      const missing = new Set(verification.missing.map(({ range }) => range));
      if (!dryRun) this.#ledger.keepOnly(inKeyOrder(copied).filter(({ range }) => !missing.has(range)));
      throw new RunError(describeMissing(scope.table, verification.missing, dryRun));
    }
    this.#emit({ kind: "notice", message: `Nothing is missing, as counted in ${seconds} s` });
    for (const message of describeUnsettled(scope.table, verification))
      this.#emit({ kind: "notice", message });
    return verification;
  }

  #workerSetup(
    mapping: ResolvedMapping,
    userSettings: SettingsOfUser,
    scope: PlanScope,
    blockRows: number,
    facts: Pick<WorkerSetup, "timeZone" | "takesJsonPaths" | "targetHasViews">,
  ): WorkerSetup {
    const { connection, tables, partition, batchSizeRows, dryRun, maxRetries, maxWaitMs, traceWindowDays } =
      this.#options;
    const { compression } = connection;
    const reading = withPreferred(statementSettings(userSettings), userSettings, {
      pageRead: blockRows,
      traceRead: TRACE_BLOCK_ROWS,
      insert: Math.max(this.#options.insertRows, batchSizeRows),
      compression: compression ?? "none",
    });
    return {
      connection,
      mapping,
      ...facts,
      source: scope.table,
      target: qualifiedTable(connection.database, tables.target),
      partition,
      traceScope: {
        table: qualifiedTable(connection.database, tables.traces),
        partition,
        windowDays: traceWindowDays,
      },
      batchRows: batchSizeRows,
      insertRows: this.#options.insertRows,
      dryRun,
      maxRetries,
      maxWaitMs,
      skipBadRows: this.#rejectedRows !== null,
      settings: reading,
      runId: this.#id,
      recordsQueries: this.#options.recordsQueries ?? false,
    };
  }

  async #copyPages(
    pool: WorkerPool,
    pages: AsyncGenerator<Page, void, void>,
    clock: ServerClock,
  ): Promise<void> {
    const copy: Work<Page> = async ({ worker, number }, page, onRead) => {
      this.#stop.throwIfAborted();
      const readSinceMs = clock.nowMs();
      const done = await worker.copyPage(number, page.range, {
        onProgress: (progress) => this.#progress.copyPage(page, progress),
        onRead,
      });
      // Before the page counts as done: what is not in the target must be on the disk.
      if (done.skipped.length > 0) this.#rejectedRows?.append(done.skipped);
      if (!this.#options.dryRun) this.#ledger.finishPage(page.range, done.rows);
      this.#copied.push({ range: page.range, rows: done.rows, readSinceMs });
      this.#progress.finishPage(page, done);
    };
    await pool.doAll(pages, copy, {
      pipelines: this.#options.parallelWorkers,
      // A failure of it is one of the thread's, which its pages report.
      onDrained: ({ worker, number }) => void worker.call("drain", { pipeline: number }).catch(() => {}),
    });
  }

  #report(
    outcome: BackfillReport["outcome"],
    { lateRows, rewrittenRows }: Pick<VerificationResult, "lateRows" | "rewrittenRows"> = NOTHING_LATE,
  ): BackfillReport {
    const { rows, withoutTrace, bytes, traces, retries, skipped, halved, waitedMs } = this.#progress.totals();
    return {
      outcome,
      observationsRead: rows,
      eventsInserted: outcome === "done" ? rows - skipped : 0,
      tracesLoaded: traces,
      observationsWithoutTrace: withoutTrace,
      retries,
      rowsSkipped: skipped,
      batchesHalved: halved,
      waitedMs,
      lateRows,
      rewrittenRows,
      durationMs: performance.now() - this.#startedMs,
      bytesRead: bytes,
      warnings: this.#warnings,
      months: [],
    };
  }
}
