import { openSkipFile } from "../checkpoint/skip-file.ts";
import type { ControlServer } from "../control/control-server.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { InterruptedError, RunError } from "../errors.ts";
import type { MonthResult } from "../report/report-json.ts";
import { type RunExtras, type RunLedgers, runBackfill } from "../run/backfill.ts";
import type { MonthOutcome } from "../run/events.ts";
import { watchLoad } from "../run/load-watch.ts";
import type { BackfillReport } from "../run/report.ts";
import { insertedRows } from "../run/run-progress.ts";
import { TraceBorders } from "../run/trace-borders.ts";
import type { Throttler } from "../throttle/throttler.ts";
import { controlRun } from "./controlled-run.ts";
import { openLedgers } from "./ledgers.ts";
import { backfillOf, monthsOfCommand, type Session, type Surface } from "./session.ts";

/** How the months of a run went. */
export interface CopiedMonths {
  /** Those that were begun, in their order. */
  readonly results: readonly MonthResult[];
  readonly notBegun: readonly string[];
  /** What ended the run, or the first month that failed; null: nothing did. */
  readonly failure: { readonly error: unknown } | null;
}

/** Copies the months of the command one after another. Rejects where none could be begun, and with what is a bug. */
export async function copyMonths(
  session: Session,
  throttler: Throttler,
  surface: Surface,
): Promise<CopiedMonths> {
  const { emit, stop } = surface;
  const { config } = session;
  const months = await monthsOfCommand(session, surface);
  let current: string | null = null;
  emit({ kind: "months", months });
  const unsubscribe = throttler.onChange((state) => emit({ kind: "throttle", ...state }));
  // What the options have set.
  if (throttler.wasUsed) emit({ kind: "throttle", ...throttler.state });
  const controls: ControlServer[] = [];
  let stopWatching = (): void => {};
  try {
    stopWatching = await watchLoad(
      {
        options: config.backfill,
        throttler,
        partition: () => current,
        onWarning: (message) => emit({ kind: "warning", message }),
        stop,
      },
      config.throttle,
    );
    return await copyEach(session, throttler, surface, months, async (month) => {
      current = month;
      // Not before the run holds a month: one that is refused leaves nothing behind.
      if (controls.length === 0) controls.push(await controlRun(session, { throttler, surface }));
    });
  } finally {
    stopWatching();
    for (const control of controls) control.close();
    unsubscribe();
  }
}

async function copyEach(
  session: Session,
  throttler: Throttler,
  { emit, stop }: Surface,
  months: readonly { readonly partition: string }[],
  onHeld: (partition: string) => Promise<void>,
): Promise<CopiedMonths> {
  const borders = new TraceBorders(
    months.map(({ partition }) => partition),
    session.config.backfill.traceWindowDays,
  );
  const results: MonthResult[] = [];
  const failures: { readonly error: unknown }[] = [];
  const names = months.map(({ partition }) => partition);
  const isOneOfSeveral = names.length > 1;
  for (const partition of names) {
    emit({ kind: "month", partition, isOneOfSeveral });
    const startedMs = performance.now();
    const end = (outcome: MonthOutcome, result: Pick<MonthResult, "report" | "error">): void => {
      const durationMs = performance.now() - startedMs;
      results.push({ partition, outcome, durationMs, ...result });
      const rows =
        outcome === "done"
          ? (result.report?.phases ?? []).reduce((sum, phase) => sum + insertedRows(phase), 0)
          : 0;
      emit({ kind: "month-ended", partition, outcome, rows, durationMs, isOneOfSeveral });
    };
    try {
      // The experiments are of all months, and come after the last.
      const { ledgers, release } = openLedgers(session, partition, partition === names.at(-1));
      await onHeld(partition);
      const report = await copyMonth(session, { emit, stop }, partition, ledgers, { throttler, borders });
      // Otherwise the locks are held until the process exits: workers may still insert.
      release();
      end(report.outcome, { report, error: null });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      end(error instanceof InterruptedError ? "stopped" : "failed", { report: null, error: message });
      failures.push({ error });
      if (error instanceof InterruptedError || !session.config.months.keepGoing) break;
      if (isOneOfSeveral) emit({ kind: "warning", message: `Partition ${partition} failed: ${message}` });
    }
  }
  const notBegun = names.slice(results.length);
  return { results, notBegun, failure: failureOf(failures, names.length) };
}

/** The error that ends the command: the only one as it is, the first of several with their number. */
function failureOf(
  failures: readonly { readonly error: unknown }[],
  months: number,
): CopiedMonths["failure"] {
  const [first] = failures;
  if (first === undefined || failures.length === 1 || !(first.error instanceof RunError))
    return first ?? null;
  const message = `${failures.length} of ${months} months failed, the first one so: ${first.error.message}`;
  return { error: new RunError(message, { cause: first.error }) };
}

async function copyMonth(
  session: Session,
  { emit, stop }: Pick<Surface, "emit" | "stop">,
  partition: string,
  ledgers: RunLedgers,
  extras: Pick<RunExtras, "throttler" | "borders">,
): Promise<BackfillReport> {
  const rejectedRows = openSessionSkipFile(session, partition);
  return await runBackfill(backfillOf(session, partition), ledgers, emit, stop, { ...extras, rejectedRows });
}

/** A dry run inserts nothing, so that nothing is refused. */
function openSessionSkipFile({ config, host }: Session, partition: string): RejectedRowLog | null {
  const { skipBadRowsPath: path, backfill } = config;
  if (path === null || backfill.dryRun) return null;
  const { connection, tables } = backfill;
  const file = openSkipFile(path, { partition, database: connection.database, sourceTable: tables.source });
  return {
    append: (rows) => file.append(rows.map((bad) => ({ ...bad, message: host.secrets.redact(bad.message) }))),
  };
}
