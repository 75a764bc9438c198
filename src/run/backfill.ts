import { randomUUID } from "node:crypto";
import type { QueryRecord } from "../clickhouse/query-observer.ts";
import { Server } from "../clickhouse/server.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { RunError } from "../errors.ts";
import { LAYOUTS, type LayoutName } from "../mapping/layouts.ts";
import { countRows, greatestKey, planPages } from "../plan/pages.ts";
import { type MonthlyPhase, PHASES, type PhaseName } from "../plan/phases.ts";
import { Throttler } from "../throttle/throttler.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { type CopySession, withCopySession } from "./copy-session.ts";
import type { BackfillEvent } from "./events.ts";
import { copyExperiments, unfinishedExperiments } from "./experiments.ts";
import { confirmFinishedMonth } from "./finished-month.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { PhaseRun } from "./phase-run.ts";
import { chooseLayout } from "./preflight/choose-layout.ts";
import { foreignBackfillWarning } from "./preflight/foreign-backfill.ts";
import { monthsOf } from "./preflight/months.ts";
import { connectAndReport, type PreparedRun, prepare } from "./prepare.ts";
import { refuseIfAllRejected } from "./refuse-if-all-rejected.ts";
import { type BackfillReport, reportOf, type UnsettledRows } from "./report.ts";
import type { RunContext } from "./run-context.ts";
import { asRunError } from "./run-error.ts";
import { RunProgress } from "./run-progress.ts";
import { serverSession } from "./server-session.ts";
import { countTargetRows } from "./target-rows.ts";
import type { TraceBorders } from "./trace-borders.ts";
import { verifySource } from "./verify-source.ts";

/** The ledgers of the phases that may run. */
export interface RunLedgers {
  readonly monthly: MonthlyLedgers;
  /** Opens the ledger of the experiments; null where another run copies them. Not to be copied: null. */
  readonly openExperiments: (() => PageLedger | null) | null;
}

/** What a run does without. */
export interface RunExtras {
  /** Takes the rows that cannot be inserted; without it the first such row ends the run. */
  readonly rejectedRows?: RejectedRowLog | null;
  readonly throttler?: Throttler;
  /** Of the months that follow each other. */
  readonly borders?: TraceBorders | null;
}

export type MonthlyLedgers = ReadonlyMap<MonthlyPhase, PageLedger>;

/**
 * Copies what is left of the partition, phase by phase and page by page, counts the sources to verify that nothing is missing, and
 * reports what was done. `stop` ends the run gracefully: no new page is begun, batches in flight finish, and the promise rejects
 * with the signal's reason.
 * Rejects with a RunError when the run fails, and with any other error where that is a bug.
 */
export async function runBackfill(
  options: BackfillOptions,
  ledgers: RunLedgers,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
  { rejectedRows = null, throttler = new Throttler(), borders = null }: RunExtras = {},
): Promise<BackfillReport> {
  const progress = new RunProgress(emit);
  const context: RunContext = {
    id: randomUUID().slice(0, 8),
    options,
    emit,
    stop,
    retry: { maxRetries: options.maxRetries, onRetry: (notice) => progress.retry(notice), signal: stop },
    progress,
    throttler,
    rejectedRows,
    borders,
    startedMs: performance.now(),
  };
  const server = openServer(context);
  try {
    return await copyPartition(server, context, ledgers);
  } catch (error) {
    stop.throwIfAborted();
    throw asRunError(error);
  } finally {
    server.close();
  }
}

async function copyPartition(
  server: Server,
  context: RunContext,
  given: RunLedgers,
): Promise<BackfillReport> {
  const { options, retry } = context;
  const userSettings = await connectAndReport(server, context);
  const layout = await settleLayout(server, context);
  const { monthly, experiments, isFresh } = await claimLedgers(server, context, layout, given);
  if (monthly.size === 0 && experiments === null) return reportOf(context, "already-finished");
  const prepared = await prepare(server, context, { userSettings, layout, ledgers: monthly });
  const { warnings } = prepared;
  if (layout === "v4" && isFresh) await warnOfForeignRows(server, context);
  const counted = await countPhases(prepared);
  // Ranges without rows that an earlier run has finished may have come back empty by mistake: they are verified all the same.
  const phases = counted.filter(({ phase, rows }) => rows > 0 || phase.ledger.done.length > 0);
  const unsettled = [await copyPhases(context, prepared, phases)];
  if (experiments !== null) unsettled.push(await copyExperiments(context, prepared, experiments));
  if (context.progress.totals().phases.length === 0) {
    const months = await monthsOf(server, options.connection.database, options.tables.source, retry);
    return reportOf(context, "nothing-to-do", { warnings, months });
  }
  const verification = unsettled.reduce((a, b) => ({
    lateRows: a.lateRows + b.lateRows,
    rewrittenRows: a.rewrittenRows + b.rewrittenRows,
  }));
  return reportOf(context, options.dryRun ? "dry-run" : "done", { warnings, verification });
}

/** Warns where the target has backfilled rows although no phase has begun. */
async function warnOfForeignRows(server: Server, { options, retry, emit }: RunContext): Promise<void> {
  const { connection, tables, partition } = options;
  const message = await foreignBackfillWarning(server, connection.database, tables.target, partition, retry);
  if (message !== null) emit({ kind: "warning", message });
}

/** What is left to do. */
interface ClaimedLedgers {
  readonly monthly: MonthlyLedgers;
  readonly experiments: PageLedger | null;
  /** All phases are to run, and none has begun. */
  readonly isFresh: boolean;
}

/** The ledgers of what is left: those of the phases that the layout has and that no earlier run has finished. */
async function claimLedgers(
  server: Server,
  context: RunContext,
  layout: LayoutName,
  { monthly, openExperiments }: RunLedgers,
): Promise<ClaimedLedgers> {
  const { observations: _, ...others } = LAYOUTS[layout];
  const has = (phase: PhaseName): boolean => phase === "observations" || others[phase] !== null;
  const open = new Map<MonthlyPhase, PageLedger>();
  let known = 0;
  for (const [phase, ledger] of monthly) {
    if (!has(phase)) continue;
    known++;
    ledger.claim(layout);
    if (ledger.finished) await confirmFinishedMonth(server, context, ledger);
    else open.set(phase, ledger);
  }
  const isOfExperiments = openExperiments !== null && has("experiments");
  if (known === 0 && !isOfExperiments) {
    throw new RunError(
      `Nothing to copy: the layout ${layout} has no rows of --only ${context.options.only.join()}\nLeave --only out, or say with --layout what the target is made of.`,
    );
  }
  const experiments = isOfExperiments ? openExperiments() : null;
  experiments?.claim(layout);
  const all = [...open.values(), ...(experiments === null ? [] : [experiments])];
  return {
    monthly: open,
    experiments: experiments === null ? null : await unfinishedExperiments(server, context, experiments),
    isFresh:
      all.length === PHASES.length &&
      all.every(({ done, finished, isPartial }) => done.length === 0 && !finished && !isPartial),
  };
}

/** Chooses the layout and says why, unless it is the one that every target had. */
async function settleLayout(server: Server, { options, retry, emit }: RunContext): Promise<LayoutName> {
  const { name, reason } = await chooseLayout(server, options, retry);
  emit({ kind: "notice", message: `Layout ${name}: ${reason}` });
  return name;
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
  if (!isLeft) return await run(null);
  if (context.options.engine === "server") return await run(await serverSession(context, prepared));
  return await withCopySession(context, prepared, await prepared.monthSetup(), run);
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
  const isRecorded = !options.dryRun && !ledger.isPartial;
  const lastKey = isRecorded ? await greatestKey(scope) : null;
  const remaining = ledger.remaining();
  const isLeft = session !== null && remaining.length > 0;
  const copied = isLeft ? await session.copy(phase, planPages(scope, remaining)) : [];
  // A dry run verifies only what it has read itself.
  const earlier = options.dryRun ? [] : ledger.done.map((range) => ({ ...range, readSinceMs }));
  const verification = await verifySource(context, phase, [...earlier, ...copied]);
  refuseIfAllRejected(context, ledger);
  if (isRecorded) {
    const targetRows = await countTargetRows(server, options, retry);
    ledger.finishPartition(lastKey, targetRows, speedOf(context));
  }
  return verification;
}

/** Fewer rows are copied faster or slower than a month is. */
const MIN_ROWS_OF_SPEED = 50_000;

/** Rows of this run a second, all phases so far and what they had to wait for included; null where that says nothing of other runs. */
function speedOf({ progress, startedMs, throttler }: RunContext): number | null {
  const { phases } = progress.totals();
  const rows = phases.reduce((sum, phase) => sum + phase.rows, 0);
  if (rows < MIN_ROWS_OF_SPEED || throttler.wasUsed) return null;
  return Math.round((rows * 1000) / (performance.now() - startedMs));
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
