import { randomUUID } from "node:crypto";
import type { QueryRecord } from "../clickhouse/query-observer.ts";
import { OperationError } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { isServerFailure } from "../clickhouse/server-errors.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { RunError } from "../errors.ts";
import { MappingError } from "../mapping/resolve-mapping.ts";
import { countRows, greatestKey } from "../plan/pages.ts";
import { TraceStoreFullError } from "../traces/store-full-error.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { copyRanges } from "./copy-ranges.ts";
import type { BackfillEvent } from "./events.ts";
import { confirmFinishedMonth } from "./finished-month.ts";
import type { PageLedger } from "./page-ledger.ts";
import { monthsOf } from "./preflight/months.ts";
import { prepare } from "./prepare.ts";
import { type BackfillReport, reportOf } from "./report.ts";
import type { RunContext } from "./run-context.ts";
import { RunProgress } from "./run-progress.ts";
import { countTargetRows } from "./target-rows.ts";
import { verifySource } from "./verify-source.ts";

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
  const progress = new RunProgress(emit);
  const context: RunContext = {
    id: randomUUID().slice(0, 8),
    options,
    ledger,
    emit,
    stop,
    retry: { maxRetries: options.maxRetries, onRetry: (notice) => progress.retry(notice), signal: stop },
    progress,
    rejectedRows,
    startedMs: performance.now(),
  };
  const server = openServer(context);
  try {
    return ledger.finished
      ? await confirmFinishedMonth(server, context)
      : await copyPartition(server, context);
  } catch (error) {
    stop.throwIfAborted();
    throw isExpected(error) ? new RunError(error.message, { cause: error }) : error;
  } finally {
    server.close();
  }
}

async function copyPartition(server: Server, context: RunContext): Promise<BackfillReport> {
  const { options, ledger, progress, retry } = context;
  const { connection, tables, dryRun } = options;
  const prepared = await prepare(server, context);
  const { scope, clock, warnings } = prepared;
  const remaining = ledger.remaining();
  let rows = 0;
  for (const range of remaining) rows += await countRows(scope, range);
  // Ranges without rows that an earlier run has finished may have come back empty by mistake: they are verified all the same.
  if (rows === 0 && ledger.done.length === 0) {
    const months = await monthsOf(server, connection.database, tables.source, retry);
    return reportOf(context, "nothing-to-do", { warnings, months });
  }
  progress.plan(rows, ledger.rowsProcessed);
  const readSinceMs = ledger.begin(clock.nowMs());
  const lastKey = dryRun ? null : await greatestKey(scope);
  const copied = remaining.length > 0 ? await copyRanges(context, prepared, remaining) : [];
  // A dry run verifies only what it has read itself.
  const earlier = dryRun ? [] : ledger.done.map((range) => ({ ...range, readSinceMs }));
  const verification = await verifySource(context, prepared, [...earlier, ...copied]);
  refuseIfAllRejected(context);
  if (!dryRun) ledger.finishPartition(lastKey, await countTargetRows(server, options, retry));
  return reportOf(context, dryRun ? "dry-run" : "done", { warnings, verification });
}

function openServer({ id, options, emit }: RunContext): Server {
  return new Server(options.connection, {
    queryIdPrefix: id,
    observer: {
      onQuiet: (quiet) => emit({ kind: "quiet", ...quiet }),
      ...(options.recordsQueries === true
        ? { onQuery: (record: QueryRecord) => emit({ kind: "query", record }) }
        : {}),
    },
  });
}

/**
 * Throws a RunError when the server rejected every row: the cause is then the target, and no single row. What this run
 * has skipped is no longer done.
 */
function refuseIfAllRejected({ options, progress, ledger }: RunContext): void {
  const { rows, skipped } = progress.totals();
  if (skipped === 0 || skipped < rows || ledger.done.length > 0) return;
  ledger.keepOnly([]);
  const target = qualifiedTable(options.connection.database, options.tables.target);
  throw new RunError(
    `Inserting into ${target}: the server rejected all ${rows} rows, so that nothing was inserted\nThe file of --skip-bad-rows names the rows and the server's reasons. Correct what is in their way; then run the same command again.`,
  );
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
