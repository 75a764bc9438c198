import { randomUUID } from "node:crypto";
import type { QueryRecord } from "../clickhouse/query-observer.ts";
import { OperationError } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { isServerFailure } from "../clickhouse/server-errors.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { RunError } from "../errors.ts";
import { LAYOUTS, type LayoutName } from "../mapping/layouts.ts";
import { MappingError } from "../mapping/resolve-mapping.ts";
import { countRows, greatestKey } from "../plan/pages.ts";
import type { MonthlyPhase } from "../plan/phases.ts";
import { TraceStoreFullError } from "../traces/store-full-error.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { type CopySession, withCopySession } from "./copy-session.ts";
import type { BackfillEvent } from "./events.ts";
import { confirmFinishedMonth } from "./finished-month.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { PhaseRun } from "./phase-run.ts";
import { chooseLayout } from "./preflight/choose-layout.ts";
import { monthsOf } from "./preflight/months.ts";
import { connectAndReport, type PreparedRun, prepare } from "./prepare.ts";
import { type BackfillReport, reportOf, type UnsettledRows } from "./report.ts";
import type { RunContext } from "./run-context.ts";
import { RunProgress } from "./run-progress.ts";
import { countTargetRows } from "./target-rows.ts";
import { verifySource } from "./verify-source.ts";

/** The ledgers of the phases that may run, by phase. */
export type RunLedgers = ReadonlyMap<MonthlyPhase, PageLedger>;

/**
 * Copies what is left of the partition, phase by phase and page by page, counts the sources to verify that nothing is missing, and
 * reports what was done. `stop` ends the run gracefully: no new page is begun, batches in flight finish, and the promise rejects
 * with the signal's reason. `rejectedRows` takes the rows that cannot be inserted; without it the first such row ends the run.
 * Rejects with a RunError when the run fails, and with any other error where that is a bug.
 */
export async function runBackfill(
  options: BackfillOptions,
  ledgers: RunLedgers,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
  rejectedRows: RejectedRowLog | null = null,
): Promise<BackfillReport> {
  const progress = new RunProgress(emit);
  const context: RunContext = {
    id: randomUUID().slice(0, 8),
    options,
    emit,
    stop,
    retry: { maxRetries: options.maxRetries, onRetry: (notice) => progress.retry(notice), signal: stop },
    progress,
    rejectedRows,
    startedMs: performance.now(),
  };
  const server = openServer(context);
  try {
    return await copyPartition(server, context, ledgers);
  } catch (error) {
    stop.throwIfAborted();
    throw isExpected(error) ? new RunError(error.message, { cause: error }) : error;
  } finally {
    server.close();
  }
}

async function copyPartition(
  server: Server,
  context: RunContext,
  given: RunLedgers,
): Promise<BackfillReport> {
  const { options } = context;
  const userSettings = await connectAndReport(server, context);
  const layout = await settleLayout(server, context);
  const ledgers = ledgersOf(layout, given, options);
  for (const ledger of ledgers.values()) {
    ledger.claim(layout);
    if (ledger.finished) await confirmFinishedMonth(server, context, ledger);
  }
  const open = new Map([...ledgers].filter(([, { finished }]) => !finished));
  if (open.size === 0) return reportOf(context, "already-finished");
  const prepared = await prepare(server, context, { userSettings, layout, ledgers: open });
  const counted = await countPhases(prepared);
  // Ranges without rows that an earlier run has finished may have come back empty by mistake: they are verified all the same.
  const phases = counted.filter(({ phase, rows }) => rows > 0 || phase.ledger.done.length > 0);
  if (phases.length === 0) {
    const months = await monthsOf(server, options.connection.database, options.tables.source, context.retry);
    return reportOf(context, "nothing-to-do", { warnings: prepared.warnings, months });
  }
  const verification = await copyPhases(context, prepared, phases);
  const outcome = options.dryRun ? "dry-run" : "done";
  return reportOf(context, outcome, { warnings: prepared.warnings, verification });
}

/** Chooses the layout and says why, unless it is the one that every target had. */
async function settleLayout(server: Server, { options, retry, emit }: RunContext): Promise<LayoutName> {
  const { name, reason } = await chooseLayout(server, options, retry);
  emit({ kind: "notice", message: `Layout ${name}: ${reason}` });
  return name;
}

/** Throws a RunError where the layout has nothing of what is to be copied. */
function ledgersOf(layout: LayoutName, given: RunLedgers, { only }: BackfillOptions): RunLedgers {
  const ledgers = new Map([...given].filter(([phase]) => LAYOUTS[layout][phase] !== null));
  if (ledgers.size > 0) return ledgers;
  throw new RunError(
    `Nothing to copy: the layout ${layout} has no rows of --only ${only.join()}\nLeave --only out, or say with --layout what the target is made of.`,
  );
}

/** A phase, and the rows that are left of it. */
interface CountedPhase {
  readonly phase: PhaseRun;
  readonly rows: number;
}

async function countPhases({ phases }: PreparedRun): Promise<CountedPhase[]> {
  const counted: CountedPhase[] = [];
  for (const phase of phases) {
    let rows = 0;
    for (const range of phase.ledger.remaining()) rows += await countRows(phase.scope, range);
    counted.push({ phase, rows });
  }
  return counted;
}

async function copyPhases(
  context: RunContext,
  prepared: PreparedRun,
  phases: readonly CountedPhase[],
): Promise<UnsettledRows> {
  const isLeft = phases.some(({ phase }) => phase.ledger.remaining().length > 0);
  const run = async (session: CopySession | null): Promise<UnsettledRows> => {
    const sum = { lateRows: 0, rewrittenRows: 0 };
    for (const counted of phases) {
      const { lateRows, rewrittenRows } = await copyPhase(context, prepared, counted, session);
      sum.lateRows += lateRows;
      sum.rewrittenRows += rewrittenRows;
    }
    return sum;
  };
  return isLeft ? await withCopySession(context, prepared, run) : await run(null);
}

async function copyPhase(
  context: RunContext,
  { server, clock }: PreparedRun,
  { phase, rows }: CountedPhase,
  session: CopySession | null,
): Promise<UnsettledRows> {
  const { options, progress, retry } = context;
  const { name, scope, ledger } = phase;
  progress.begin(name, rows, ledger.rowsProcessed);
  const readSinceMs = ledger.begin(clock.nowMs());
  const lastKey = options.dryRun ? null : await greatestKey(scope);
  const copied = session !== null && ledger.remaining().length > 0 ? await session.copy(phase) : [];
  // A dry run verifies only what it has read itself.
  const earlier = options.dryRun ? [] : ledger.done.map((range) => ({ ...range, readSinceMs }));
  const verification = await verifySource(context, phase, [...earlier, ...copied]);
  refuseIfAllRejected(context, phase);
  if (!options.dryRun) ledger.finishPartition(lastKey, await countTargetRows(server, options, retry));
  return verification;
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
function refuseIfAllRejected({ options, progress }: RunContext, { ledger }: PhaseRun): void {
  const { rows, skipped } = progress.ofPhase() ?? { rows: 0, skipped: 0 };
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
